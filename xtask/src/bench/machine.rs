//! What a time depends on besides the code.

use std::fmt;
use std::process::Command;

use serde::Serialize;

/// The machine, the compiler, and how busy it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Machine {
    /// The processor's name, where the system tells.
    pub(super) processor: String,
    /// Hardware threads.
    pub(super) threads: usize,
    /// Instruction sets that kernels are written for.
    pub(super) instruction_sets: Vec<String>,
    /// Operating system and architecture.
    pub(super) system: String,
    /// What compiled this.
    pub(super) rustc: String,
    /// The cargo profile; both compile the runtime at `opt-level = 3` without checks.
    pub(super) profile: String,
    /// Processes that wanted to run in the last minute, where the system tells.
    pub(super) load: Option<f64>,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = read("/proc/loadavg");
        Self {
            processor: processor.map_or("unknown processor", |(_, name)| name).into(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            instruction_sets: instruction_sets(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            rustc: rustc(),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" }.into(),
            load: load.split_whitespace().next().and_then(|load| load.parse().ok()),
        }
    }

    /// What is against trusting the times.
    pub(super) fn warning(&self) -> Option<String> {
        let load = self.load.filter(|&load| load > 0.5)?;
        Some(format!(
            "The machine is busy (load {load}): longer runs are interrupted more often, so even ratios are off."
        ))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, threads, instruction_sets, system, .. } = self;
        write!(formatter, "{processor}, {threads} threads, {system}")?;
        if instruction_sets.is_empty() {
            Ok(())
        } else {
            write!(formatter, " ({})", instruction_sets.join(", "))
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn instruction_sets() -> Vec<String> {
    let sets = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512bw", std::arch::is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
        ("avxvnni", std::arch::is_x86_feature_detected!("avxvnni")),
    ];
    sets.into_iter().filter(|set| set.1).map(|set| set.0.into()).collect()
}

#[cfg(target_arch = "aarch64")]
fn instruction_sets() -> Vec<String> {
    let sets = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
    ];
    sets.into_iter().filter(|set| set.1).map(|set| set.0.into()).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn instruction_sets() -> Vec<String> {
    Vec::new()
}

/// The version of the compiler that cargo uses.
fn rustc() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let text =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown rustc".into() } else { text }
}
