//! What may stand in shared memory.
#![expect(unsafe_code, reason = "what may be shared is a promise that only its author can make")]

use ipc_core::Result;
use zerocopy::{FromBytes, IntoBytes};

/// Data that mean the same in every process: the bound on what a lock protects.
///
/// Any type that implements zerocopy's [`FromBytes`] and [`IntoBytes`] is one, which its derives check: integers,
/// floats, arrays, and structures of them without padding. What holds an address is refused by the compiler,
/// and so is what has bytes that are no value: no reference, no `Box`, `String` or `Vec`, no raw or function
/// pointer, no `bool`, `char` or enum (take an integer). A number that means something in one process only, a
/// descriptor's or a thread's, is the program's own affair.
///
/// # Examples
///
/// ```
/// use ipc_sem::{Mutex, Shared};
/// use zerocopy::{FromBytes, IntoBytes};
///
/// #[derive(FromBytes, IntoBytes)]
/// #[repr(C)]
/// struct Account {
///     balance: i64,
///     transfers: u64,
/// }
///
/// let account = Shared::<Mutex<Account>>::new(Account { balance: 100, transfers: 0 })?;
/// account.lock()?.balance -= 30;
/// assert_eq!(account.lock()?.balance, 70);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// A reference, whatever its lifetime:
///
/// ```compile_fail,E0277
/// let refused = ipc_sem::Shared::<ipc_sem::Mutex<&'static str>>::new("only here");
/// ```
///
/// What owns memory of one process:
///
/// ```compile_fail,E0277
/// let refused = ipc_sem::Shared::<ipc_sem::Mutex<Box<u64>>>::new(Box::new(1));
/// ```
///
/// ```compile_fail,E0277
/// let refused = ipc_sem::Shared::<ipc_sem::Mutex<Vec<u8>>>::new(vec![]);
/// ```
///
/// A raw pointer:
///
/// ```compile_fail,E0277
/// let refused = ipc_sem::Shared::<ipc_sem::Mutex<*const u8>>::new(std::ptr::null());
/// ```
///
/// ```compile_fail,E0277
/// let refused = ipc_sem::Shared::<ipc_sem::RwLock<fn()>>::new(|| ());
/// ```
///
/// A lock of one process:
///
/// ```compile_fail,E0277
/// let refused = ipc_sem::Shared::<ipc_sem::Mutex<std::sync::Mutex<u8>>>::new(Default::default());
/// ```
pub trait Plain: FromBytes + IntoBytes + Send {}

impl<T: FromBytes + IntoBytes + Send> Plain for T {}

/// An object that is made in shared memory, and used there by several processes.
///
/// [`Mutex`](crate::Mutex), [`Condvar`](crate::Condvar), [`RwLock`](crate::RwLock),
/// [`Barrier`](crate::Barrier), [`Event`](crate::Event), [`UnnamedSem`](crate::posix::UnnamedSem), tuples of
/// them, and structures that [`shared!`](crate::shared) declares. They cannot be made anywhere else, and not
/// be moved.
///
/// # Safety
///
/// The layout is the same in every program (`repr(C)`). No part holds an address that this process would
/// follow, but those that the C library keeps in a mutex. Through `&Self`, processes that use the same type
/// may do whatever its methods do, at the same time.
pub unsafe trait Shareable: Sync + Sized {
    /// What it is made from.
    type Init;

    /// Whether it knows its holders by the numbers of threads, which mean something in one PID namespace only.
    const KNOWS_THREADS: bool = false;

    /// Makes one.
    ///
    /// # Errors
    ///
    /// What the kernel or the C library says, and
    /// [`InvalidInput`](ipc_core::ErrorKind::InvalidInput).
    ///
    /// # Safety
    ///
    /// `this` is valid for writes, aligned and zeroed, and nobody uses it yet.
    unsafe fn init(this: *mut Self, init: Self::Init) -> Result<()>;

    /// Appends what tells this type from others, the same in every program.
    fn describe(to: &mut String);

    /// Whether a thread of this process holds something in it, so that the memory must stay mapped.
    fn is_held_here(&self) -> bool {
        false
    }
}

/// What tells a plain type from others: its name without modules, its size and its alignment.
pub(crate) fn describe_plain<T>(to: &mut String) {
    use std::fmt::Write;

    // `app::state::Account` in one program may be `Account` of another crate in the other.
    let mut word = String::new();
    for c in std::any::type_name::<T>().chars() {
        match c {
            ':' => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                to.push_str(&word);
                word.clear();
                to.push(c);
            }
        }
    }
    to.push_str(&word);
    let _ = write!(to, "/{}/{}", size_of::<T>(), align_of::<T>());
}

/// Implements [`Shareable`] for tuples.
macro_rules! tuples {
    ($($name:ident $index:tt),+) => {
        // SAFETY: a tuple's layout is the compiler's, and the header says which compiler's: see `describe`. The
        // rest is what its members promise.
        unsafe impl<$($name: Shareable),+> Shareable for ($($name,)+) {
            type Init = ($($name::Init,)+);

            const KNOWS_THREADS: bool = false $(|| $name::KNOWS_THREADS)+;

            unsafe fn init(this: *mut Self, init: Self::Init) -> Result<()> {
                $(
                    // SAFETY: the caller promises the place.
                    let member = unsafe { &raw mut (*this).$index };
                    // SAFETY: a part of the caller's place.
                    unsafe { $name::init(member, init.$index) }?;
                )+
                Ok(())
            }

            fn describe(to: &mut String) {
                to.push('(');
                $(
                    to.push_str(&format!("{}:", std::mem::offset_of!(Self, $index)));
                    $name::describe(to);
                    to.push(',');
                )+
                to.push(')');
            }

            fn is_held_here(&self) -> bool {
                false $(|| self.$index.is_held_here())+
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

/// Declares a structure of objects that is made in shared memory.
///
/// It is made from a tuple of what its fields are made from, in their order.
///
/// # Examples
///
/// ```
/// use ipc_sem::{Condvar, Mutex, Shared};
///
/// ipc_sem::shared! {
///     /// Work that is to be done.
///     pub struct Work {
///         /// How much of it there is.
///         pub left: Mutex<u64>,
///         /// There is more.
///         pub more: Condvar,
///     }
/// }
///
/// let work = Shared::<Work>::new((10, ()))?;
/// *work.left.lock()? -= 1;
/// work.more.notify_one();
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[macro_export]
macro_rules! shared {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),+
        }

        const _: () = {
            #[expect(unsafe_code, reason = "every field is checked to be what may be shared")]
            // SAFETY: the layout is C's, and every field is an object that may be shared.
            unsafe impl $crate::Shareable for $name {
                type Init = ($(<$type as $crate::Shareable>::Init,)+);

                const KNOWS_THREADS: bool = false $(|| <$type as $crate::Shareable>::KNOWS_THREADS)+;

                unsafe fn init(this: *mut Self, init: Self::Init) -> $crate::__ipc_core::Result<()> {
                    let ($($field,)+) = init;
                    $(
                        // SAFETY: the caller promises the place.
                        let member = unsafe { &raw mut (*this).$field };
                        // SAFETY: a part of the caller's place.
                        unsafe { <$type as $crate::Shareable>::init(member, $field) }?;
                    )+
                    Ok(())
                }

                fn describe(to: &mut String) {
                    to.push_str(stringify!($name));
                    to.push('{');
                    $(
                        <$type as $crate::Shareable>::describe(to);
                        to.push(',');
                    )+
                    to.push('}');
                }

                fn is_held_here(&self) -> bool {
                    false $(|| self.$field.is_held_here())+
                }
            }
        };
    };
}
