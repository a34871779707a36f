//! systemd's own reader, called as the service manager calls it for `EnvironmentFile=`
//! (src/core/execute.c `exec_context_load_environment`): `load_env_file`, then
//! `strv_env_clean_with_callback`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, ptr};

use ecs_config::readers::Generation;

use super::Variables;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn free(pointer: *mut c_void);
}

const RTLD_NOW: c_int = 2;

type Strings = *mut *mut c_char;
type LoadEnvFile =
    unsafe extern "C" fn(stream: *mut c_void, path: *const c_char, result: *mut Strings) -> c_int;
type StrvEnvClean =
    unsafe extern "C" fn(strings: Strings, callback: *mut c_void, userdata: *mut c_void) -> Strings;
type LogSetMaxLevel = unsafe extern "C" fn(level: c_int);

/// libsystemd-shared, of the machine's systemd.
pub(crate) struct Library {
    pub(crate) generation: Generation,
    /// As in the name of the library.
    pub(crate) version: u32,
    load: LoadEnvFile,
    clean: StrvEnvClean,
}

impl Library {
    pub(crate) fn find() -> Option<Library> {
        let folders = [
            "/usr/lib/x86_64-linux-gnu/systemd",
            "/usr/lib/aarch64-linux-gnu/systemd",
            "/usr/lib64/systemd",
            "/usr/lib/systemd",
        ];
        let files = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let (path, version) = files
            .filter_map(|path| Some((version(&path)?, path)))
            .map(|(version, path)| (path, version))
            .next()?;
        eprintln!("comparing with systemd {version}");
        Some(Library::open(&path, version))
    }

    fn open(path: &Path, version: u32) -> Library {
        let generation = if version < 254 { Generation::V252 } else { Generation::V254 };
        let path = c_path(path);
        // SAFETY: the path ends in a NUL; the library's constructors ask for nothing. The
        // signatures are those of src/basic/env-file.h, env-util.h and log.h, unchanged
        // from 240 to 257; a symbol that is missing panics before it is called.
        unsafe {
            let library = dlopen(path.as_ptr(), RTLD_NOW);
            assert!(!library.is_null(), "{path:?} does not load");
            let quiet: LogSetMaxLevel = std::mem::transmute(symbol(library, c"log_set_max_level"));
            quiet(0); // it would log each file that it rejects
            Library {
                generation,
                version,
                load: std::mem::transmute::<*mut c_void, LoadEnvFile>(symbol(
                    library,
                    c"load_env_file",
                )),
                clean: std::mem::transmute::<*mut c_void, StrvEnvClean>(symbol(
                    library,
                    c"strv_env_clean_with_callback",
                )),
            }
        }
    }

    pub(crate) fn read(&self, path: &Path) -> Variables {
        let path = c_path(path);
        let mut strings: Strings = ptr::null_mut();
        // SAFETY: no stream but a path that ends in a NUL; on success `strings` is null or a list
        // that ends in a null pointer, which the clean-up edits in place and which is ours
        // to free.
        unsafe {
            if (self.load)(ptr::null_mut(), path.as_ptr(), &mut strings) < 0 {
                return None;
            }
            let strings = (self.clean)(strings, ptr::null_mut(), ptr::null_mut());
            let variables = collect(strings);
            free(strings.cast());
            Some(variables.into_iter().map(assignment).collect())
        }
    }
}

/// `libsystemd-shared-252.so`, `libsystemd-shared-255.4-1.fc40.so`
fn version(path: &Path) -> Option<u32> {
    let name =
        path.file_name()?.to_str()?.strip_prefix("libsystemd-shared-")?.strip_suffix(".so")?;
    name.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// # Safety
/// `library` came from `dlopen`.
unsafe fn symbol(library: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: by the caller's word, and `name` ends in a NUL.
    let address = unsafe { dlsym(library, name.as_ptr()) };
    assert!(!address.is_null(), "libsystemd-shared has no {name:?}");
    address
}

/// Takes the strings out of the list, and frees them.
///
/// # Safety
/// `strings` is null or a list of allocated strings that ends in a null pointer.
unsafe fn collect(strings: Strings) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    let mut next = strings;
    // SAFETY: by the caller's word; the walk ends at the null pointer.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            list.push(CStr::from_ptr(*next).to_bytes().to_vec());
            free((*next).cast());
            next = next.add(1);
        }
    }
    list
}

fn assignment(text: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let at = text.iter().position(|&c| c == b'=').unwrap();
    (text[..at].to_vec(), text[at + 1..].to_vec())
}
