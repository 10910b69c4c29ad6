//! placeholder
pub(crate) fn render(_r: &ipc_bench_schema::Results) -> anyhow::Result<String> {
    Ok(String::new())
}
