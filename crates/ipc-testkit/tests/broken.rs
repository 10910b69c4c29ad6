//! wip
fn main() -> std::process::ExitCode {
    ipc_testkit::Harness::new().run()
}
