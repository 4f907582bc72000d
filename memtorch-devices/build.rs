//! Tells the code whether it is compiled without optimisation. A function over many lanes then keeps a place on the stack
//! for each of its operations, megabytes in all, which a thread does not have.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(unoptimised)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "0") {
        println!("cargo::rustc-cfg=unoptimised");
    }
}
