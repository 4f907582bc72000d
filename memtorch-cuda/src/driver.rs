//! The driver's functions, found when a program runs.
//!
//! `cust` wants the functions of CUDA's driver when a program is linked. Here each of them is a jump through a
//! slot; [`bind`] fills the slots from `libcuda.so.1`, if the machine has one. So a program builds and starts
//! anywhere, and only asking for a GPU where there is none is an error.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// CUDA_ERROR_NO_DEVICE, from every function that was not found.
extern "C" fn absent() -> i32 {
    100
}

type Slot = AtomicPtr<c_void>;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
macro_rules! jump {
    ($name:ident) => {
        std::arch::global_asm!(
            concat!(".globl ", stringify!($name)),
            concat!(".hidden ", stringify!($name)),
            concat!(".type ", stringify!($name), ", @function"),
            concat!(stringify!($name), ": jmp *{slot}(%rip)"),
            slot = sym $name,
            options(att_syntax),
        );
    };
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
macro_rules! jump {
    ($name:ident) => {
        std::arch::global_asm!(
            concat!(".globl ", stringify!($name)),
            concat!(".hidden ", stringify!($name)),
            concat!(".type ", stringify!($name), ", %function"),
            concat!(stringify!($name), ": adrp x16, {slot}"),
            "ldr x16, [x16, :lo12:{slot}]",
            "br x16",
            slot = sym $name,
        );
    };
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!(
    "the feature `native` of memtorch-cuda (`cuda` of memtorch) is for Linux on x86-64 and aarch64"
);

macro_rules! functions {
    ($($name:ident)*) => {
        $(
            #[allow(non_upper_case_globals)]
            static $name: Slot = Slot::new(absent as extern "C" fn() -> i32 as *mut c_void);
            jump!($name);
        )*

        /// Every function that cust 0.3.2 names, and where its address goes.
        static FUNCTIONS: &[(&str, &Slot)] = &[$((concat!(stringify!($name), "\0"), &$name)),*];
    };
}

functions! {
    cuArray3DCreate_v2 cuArray3DGetDescriptor_v2 cuArrayDestroy cuCtxCreate_v2 cuCtxDestroy_v2
    cuCtxGetApiVersion cuCtxGetCacheConfig cuCtxGetCurrent cuCtxGetDevice cuCtxGetFlags cuCtxGetLimit
    cuCtxGetSharedMemConfig cuCtxGetStreamPriorityRange cuCtxPopCurrent_v2 cuCtxPushCurrent_v2
    cuCtxSetCacheConfig cuCtxSetCurrent cuCtxSetLimit cuCtxSetSharedMemConfig cuCtxSynchronize
    cuDestroyExternalMemory cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount cuDeviceGetName
    cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset_v2 cuDevicePrimaryCtxRetain
    cuDevicePrimaryCtxSetFlags_v2 cuDeviceTotalMem_v2 cuDriverGetVersion cuEventCreate cuEventDestroy_v2
    cuEventElapsedTime cuEventQuery cuEventRecord cuEventSynchronize cuExternalMemoryGetMappedBuffer
    cuFuncGetAttribute cuFuncSetCacheConfig cuFuncSetSharedMemConfig cuGetErrorString cuGraphAddKernelNode
    cuGraphCreate cuGraphDebugDotPrint cuGraphDestroy cuGraphGetEdges cuGraphGetNodes
    cuGraphKernelNodeGetParams cuGraphNodeGetType cuImportExternalMemory cuInit cuLaunchHostFunc
    cuLaunchKernel cuLinkAddData_v2 cuLinkComplete cuLinkCreate_v2 cuLinkDestroy cuMemAdvise cuMemAllocAsync
    cuMemAllocHost_v2 cuMemAllocManaged cuMemAlloc_v2 cuMemFreeAsync cuMemFreeHost cuMemFree_v2
    cuMemGetInfo_v2 cuMemPrefetchAsync cuMemcpy2D_v2 cuMemcpyAtoH_v2 cuMemcpyDtoDAsync_v2 cuMemcpyDtoD_v2
    cuMemcpyDtoHAsync_v2 cuMemcpyDtoH_v2 cuMemcpyHtoA_v2 cuMemcpyHtoDAsync_v2 cuMemcpyHtoD_v2
    cuMemsetD16Async cuMemsetD16_v2 cuMemsetD32Async cuMemsetD32_v2 cuMemsetD8Async cuMemsetD8_v2
    cuModuleGetFunction cuModuleGetGlobal_v2 cuModuleLoad cuModuleLoadData cuModuleLoadDataEx cuModuleUnload
    cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveBlocksPerMultiprocessor
    cuOccupancyMaxPotentialBlockSize cuStreamCreateWithPriority cuStreamDestroy_v2 cuStreamGetFlags
    cuStreamGetPriority cuStreamSynchronize cuStreamWaitEvent cuSurfObjectCreate cuSurfObjectDestroy
    cuSurfObjectGetResourceDesc cuTexObjectCreate cuTexObjectDestroy cuTexObjectGetResourceDesc
    cuTexObjectGetResourceViewDesc
}

/// What stands behind the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// `libcuda.so.1`.
    Native,
    /// The emulator of this crate.
    #[cfg(feature = "emulate")]
    Emulated,
}

/// Fills the slots, once for the whole process.
pub(crate) fn bind(driver: Driver) -> Result<(), String> {
    static BOUND: OnceLock<(Driver, Result<(), String>)> = OnceLock::new();
    let (bound, result) = BOUND.get_or_init(|| (driver, fill(driver)));
    if *bound != driver {
        return Err(format!(
            "this process already uses the driver {bound:?}, so that {driver:?} cannot be had"
        ));
    }
    result.clone()
}

fn fill(driver: Driver) -> Result<(), String> {
    match driver {
        Driver::Native => {
            // SAFETY: the driver's initialisers may run at any time.
            let library = unsafe { libloading::Library::new("libcuda.so.1") }.map_err(|error| {
                let why = std::error::Error::source(&error).map(|why| format!(" ({why})"));
                format!("no NVIDIA driver on this machine{}", why.unwrap_or_default())
            })?;
            // The slots refer to it for as long as the process lives.
            let library = Box::leak(Box::new(library));
            fill_from(|name| {
                // SAFETY: only the address is taken here; cust knows the types.
                unsafe { library.get::<*mut c_void>(name.to_bytes_with_nul()) }
                    .map_or(std::ptr::null_mut(), |symbol| *symbol)
            });
        }
        #[cfg(feature = "emulate")]
        Driver::Emulated => fill_from(crate::emulator::function),
    }
    Ok(())
}

/// What is not there keeps answering that there is no device.
fn fill_from(address: impl Fn(&CStr) -> *mut c_void) {
    for (name, slot) in FUNCTIONS {
        let name = CStr::from_bytes_with_nul(name.as_bytes()).expect("the macro ends each name with a zero");
        let address = address(name);
        if !address.is_null() {
            slot.store(address, Ordering::Release);
        }
    }
}
