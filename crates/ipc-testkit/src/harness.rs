//! The list of cases of one test binary, and its `main`.

use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Debug, Display};
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::runner::{self, Outcome};
use crate::{environment, privileges, resources, say, sys, verdict};

/// How long a case that is expected to hang may do so.
const HANG: Duration = Duration::from_secs(2);

/// What a case or a role returns.
pub trait Verdict {
    /// `Err` with a message fails the case.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn into_result(self) -> Result<(), String>;
}

impl Verdict for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> Verdict for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

type Body = Box<dyn Fn() -> Result<(), String>>;

/// The cases and roles of one test binary.
///
/// See the [crate's documentation](crate) for how to use it.
#[derive(Default)]
pub struct Harness {
    cases: BTreeMap<String, Body>,
    roles: BTreeMap<String, Body>,
    /// In the order in which they were added.
    trials: Vec<Planned>,
}

/// One line of the run.
struct Planned {
    name: String,
    plan: Plan,
}

#[derive(Clone)]
enum Plan {
    MustPass,
    Excepted(&'static str),
    MustFail { case: String, says: &'static str, hangs: bool },
}

impl Harness {
    /// A harness without cases.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a case. It runs in a process of its own; a panic or an `Err` fails it.
    ///
    /// # Panics
    ///
    /// If there is a case of that name.
    #[must_use]
    pub fn test<R: Verdict>(
        mut self,
        name: impl Into<String>,
        case: impl Fn() -> R + 'static,
    ) -> Self {
        let name = name.into();
        self.trials.push(Planned { name: name.clone(), plan: Plan::MustPass });
        let body = Box::new(move || case().into_result());
        assert!(self.cases.insert(name.clone(), body).is_none(), "two cases are named {name}");
        self
    }

    /// Adds a role that a peer can play: see [`Peer`](crate::Peer).
    ///
    /// # Panics
    ///
    /// If there is a role of that name.
    #[must_use]
    pub fn role<R: Verdict>(
        mut self,
        name: impl Into<String>,
        role: impl Fn() -> R + 'static,
    ) -> Self {
        let name = name.into();
        let body = Box::new(move || role().into_result());
        assert!(self.roles.insert(name.clone(), body).is_none(), "two roles are named {name}");
        self
    }

    /// Skips a case of a suite, loudly, because the mechanism cannot comply, and says why.
    ///
    /// # Panics
    ///
    /// If there is no case of that name.
    #[must_use]
    pub fn except(mut self, case: &str, reason: &'static str) -> Self {
        let planned = self.trials.iter_mut().find(|planned| planned.name == case);
        planned.unwrap_or_else(|| panic!("there is no case {case}")).plan = Plan::Excepted(reason);
        self
    }

    /// Adds a test of the tests: of `suite`, applied to a broken mechanism, the case `case` must
    /// fail, and its report must contain `says`.
    ///
    /// # Panics
    ///
    /// If the suite has no such case.
    #[must_use]
    pub fn catches(self, suite: impl FnOnce(Self) -> Self, case: &str, says: &'static str) -> Self {
        self.expect_failure(suite, case, says, false)
    }

    /// Like [`catches`](Self::catches), for a defect that shows as a hang: the watchdog is given
    /// two seconds.
    ///
    /// # Panics
    ///
    /// If the suite has no such case.
    #[must_use]
    pub fn catches_hang(
        self,
        suite: impl FnOnce(Self) -> Self,
        case: &str,
        says: &'static str,
    ) -> Self {
        self.expect_failure(suite, case, says, true)
    }

    fn expect_failure(
        mut self,
        suite: impl FnOnce(Self) -> Self,
        case: &str,
        says: &'static str,
        hangs: bool,
    ) -> Self {
        let broken = suite(Self::new());
        assert!(broken.cases.contains_key(case), "the suite has no case {case}");
        // The same broken mechanism may be registered for another of its cases already.
        self.cases.extend(broken.cases);
        self.roles.extend(broken.roles);
        let plan = Plan::MustFail { case: case.to_owned(), says, hangs };
        self.trials.push(Planned { name: format!("caught: {case}"), plan });
        self
    }

    /// Runs what the command line asks for, as `libtest` does; or, in a process that this harness
    /// started, the one case or role that the process is for.
    #[must_use]
    pub fn run(mut self) -> ExitCode {
        self = self.role(resources::BYSTANDER, resources::bystander);
        if let Ok(role) = env::var(environment::ROLE) {
            return enter("role", &role, self.roles.get(&role));
        }
        if let Ok(case) = env::var(environment::CASE) {
            // A role has what its case gave it.
            sys::reset_signals();
            return enter("case", &case, self.cases.get(&case));
        }
        self.run_all()
    }

    fn run_all(self) -> ExitCode {
        let args = Arguments::from_args();
        let deadline = environment::deadline();
        let capture = !args.nocapture;
        let skipped = Arc::new(Mutex::new(Vec::new()));
        let trials = self.trials.into_iter().map(|Planned { name, plan }| {
            let skipped = Arc::clone(&skipped);
            Trial::ignorable_test(name.clone(), move || {
                let outcome = plan.carry_out(&name, deadline, capture);
                if let Outcome::Skipped(reason) = &outcome {
                    eprintln!("SKIP {name}: {reason}");
                    skipped.lock().expect("no trial panics with it").push(name);
                }
                outcome.into_completion()
            })
        });
        let conclusion = libtest_mimic::run(&args, trials.collect());
        let skipped = skipped.lock().expect("no trial panics with it");
        if !skipped.is_empty() {
            eprintln!("{} skipped: {}", skipped.len(), skipped.join(", "));
        }
        conclusion.exit_code()
    }
}

impl Plan {
    fn carry_out(&self, name: &str, deadline: Duration, capture: bool) -> Outcome {
        match self {
            Self::MustPass => runner::run(name, deadline, capture),
            Self::Excepted(reason) => Outcome::Skipped((*reason).to_owned()),
            Self::MustFail { case, says, hangs } => {
                let deadline = if *hangs { deadline.min(HANG) } else { deadline };
                let says: &[_] = if *hangs { &[runner::HUNG, says] } else { &[says] };
                must_fail(runner::run(case, deadline, true), case, says)
            }
        }
    }
}

fn must_fail(outcome: Outcome, case: &str, says: &[&str]) -> Outcome {
    match outcome {
        Outcome::Failed(report) if says.iter().all(|it| report.contains(it)) => Outcome::Passed,
        Outcome::Failed(report) => Outcome::Failed(format!(
            "{case} failed as it must, but does not say {says:?}:\n{report}"
        )),
        other => Outcome::Failed(format!("{case} must fail with {says:?}, and it was {other:?}")),
    }
}

impl Outcome {
    fn into_completion(self) -> Result<Completion, Failed> {
        match self {
            Self::Passed => Ok(Completion::Completed),
            Self::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Self::Failed(report) => Err(Failed::from(report)),
        }
    }
}

/// Runs the one case or role that this process is for.
fn enter(what: &str, name: &str, body: Option<&Body>) -> ExitCode {
    die_with_parent();
    let Some(body) = body else {
        eprintln!("there is no {what} {name:?} in this binary");
        return ExitCode::from(2);
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    let code = match result {
        Ok(Ok(())) => {
            if env::var_os(environment::FINISH).is_some() {
                say(privileges::FINISHED);
            }
            0
        }
        Ok(Err(error)) => {
            eprintln!("{name}: {error}");
            verdict::PANICKED
        }
        Err(_) => verdict::PANICKED,
    };
    // Not a return from `main`: threads may be blocked still, and a failed case must end now.
    process::exit(code)
}

/// Makes the kernel kill this process when its parent dies.
///
/// It looks for the parent afterwards, in case it died before. The kernel means the parent's
/// *thread* that started this process, and forgets it when the process changes its user: then the
/// watchdog's kill of the whole process group remains.
fn die_with_parent() {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("prctl(PR_SET_PDEATHSIG)");
    let parent = env::var(environment::PARENT).ok().and_then(|pid| pid.parse().ok());
    if getppid() != parent.and_then(Pid::from_raw) {
        process::exit(verdict::PANICKED);
    }
}

impl Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.trials.iter().map(|planned| &planned.name).collect();
        let roles: Vec<_> = self.roles.keys().collect();
        f.debug_struct("Harness").field("trials", &names).field("roles", &roles).finish()
    }
}
