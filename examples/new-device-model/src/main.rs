//! The whole command, with one more device model.

fn main() -> std::process::ExitCode {
    let mut registry = memtorch::Registry::with_defaults();
    registry.register_device(new_device_model::ENTRY).expect("the name is free");
    memtorch::cli::main(registry)
}
