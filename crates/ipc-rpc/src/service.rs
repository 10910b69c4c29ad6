//! Services as traits.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Call, Dispatched, Results};
use crate::{CallError, RecvFrame, SendFrame};
use crate::{CallOptions, Client, Pipelined, Ticket};

/// What a client and a server must agree on.
///
/// # Examples
///
/// See [`service!`](crate::service).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceInfo {
    /// The service's name, at most 255 bytes.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// A hash of its methods and their types.
    pub signature: u64,
}

impl ServiceInfo {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, version: u32, signature: u64) -> Self {
        assert!(name.len() <= crate::wire::MAX_NAME, "a service's name has at most 255 bytes");
        Self { name, version, signature }
    }
}

/// A service, ready to be called. [`service!`](crate::service) implements it.
pub trait Serve {
    /// What its clients must agree on.
    const SERVICE: ServiceInfo;

    /// Reads the arguments, calls the method, writes the result.
    #[doc(hidden)]
    fn dispatch(
        &self,
        call: &Call<'_>,
        method: u32,
        arguments: &[u8],
        results: &mut Results<'_>,
    ) -> Dispatched;
}

/// What makes calls: a [`Client`], which waits for the result, or a [`Pipelined`] one, which gives a ticket.
pub trait Caller {
    /// What a call gives.
    type Output<T>;

    /// Makes a call.
    #[doc(hidden)]
    fn invoke<A: Serialize, T: DeserializeOwned>(
        &mut self,
        options: &CallOptions,
        method: u32,
        arguments: &A,
    ) -> Self::Output<T>;
}

impl<C: Caller> Caller for &mut C {
    type Output<T> = C::Output<T>;

    #[inline]
    fn invoke<A: Serialize, T: DeserializeOwned>(
        &mut self,
        options: &CallOptions,
        method: u32,
        arguments: &A,
    ) -> C::Output<T> {
        (**self).invoke(options, method, arguments)
    }
}

impl<L: SendFrame + RecvFrame> Caller for Client<L> {
    type Output<T> = Result<T, CallError>;

    #[inline]
    fn invoke<A: Serialize, T: DeserializeOwned>(
        &mut self,
        options: &CallOptions,
        method: u32,
        arguments: &A,
    ) -> Result<T, CallError> {
        let ticket = self.start(options, method, arguments)?;
        self.finish(ticket)
    }
}

impl<L: SendFrame + RecvFrame> Caller for Pipelined<L> {
    type Output<T> = Result<Ticket<T>, CallError>;

    #[inline]
    fn invoke<A: Serialize, T: DeserializeOwned>(
        &mut self,
        options: &CallOptions,
        method: u32,
        arguments: &A,
    ) -> Result<Ticket<T>, CallError> {
        self.client_mut().start(options, method, arguments)
    }
}

/// Makes a service of a trait: the trait itself, a client, and a server.
///
/// The trait is an ordinary one, as it is written. Each method takes `&self`, the [`Call`](crate::Call) that it
/// serves, and arguments that `serde` can write and read, which may be borrowed (`&str`, `&serde_bytes::Bytes`);
/// what it returns is owned. An error of the service's own is a `Result` that it returns.
///
/// The client has a method for each, without the `Call`. It returns `Result<T, CallError>` of what the trait's
/// method returns, or over a [`Pipelined`](crate::Pipelined) client a [`Ticket`](crate::Ticket) for it.
///
/// A method's number is a hash of its name and its types, made by the compiler, which refuses two that are the
/// same. A client and a server that do not agree on name, version and the methods are told so when they connect.
/// Types are compared as they are written: a type that changes and keeps its name is a new version.
///
/// # Examples
///
/// ```
/// use ipc_rpc::{Call, ClientOptions, Host, HostOptions, serve};
/// use ipc_sock::unix::SocketOptions;
///
/// ipc_rpc::service! {
///     #[service(name = "calculator", version = 1, client = CalculatorClient, server = CalculatorServer)]
///     /// Sums and quotients.
///     pub trait Calculator {
///         /// The sum of two numbers.
///         fn add(&self, call: &Call<'_>, a: i64, b: i64) -> i64;
///         /// The quotient of two numbers.
///         fn divide(&self, call: &Call<'_>, a: i64, b: i64) -> Result<i64, String>;
///     }
/// }
///
/// struct Exact;
///
/// impl Calculator for Exact {
///     fn add(&self, _: &Call<'_>, a: i64, b: i64) -> i64 {
///         a + b
///     }
///
///     fn divide(&self, _: &Call<'_>, a: i64, b: i64) -> Result<i64, String> {
///         a.checked_div(b).ok_or_else(|| format!("{a} divided by {b}"))
///     }
/// }
///
/// let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
/// let server = std::thread::spawn(move || {
///     let host = Host::new(CalculatorServer(Exact), &HostOptions::new())?;
///     serve(theirs, &host)
/// });
///
/// let mut client = CalculatorClient::connect(ours, &ClientOptions::new())?;
/// assert_eq!(client.add(1, 2)?, 3);
/// assert_eq!(client.divide(1, 0)?, Err("1 divided by 0".to_owned()));
/// drop(client);
/// server.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! service {
    (
        #[service(
            name = $name:literal, version = $version:literal,
            client = $client:ident, server = $server:ident $(,)?
        )]
        $(#[$attribute:meta])*
        $vis:vis trait $service:ident {
            $(
                $(#[$method_attribute:meta])*
                fn $method:ident(
                    &self, $call:ident: &Call<'_> $(, $argument:ident: $type:ty)* $(,)?
                ) $(-> $result:ty)?;
            )*
        }
    ) => {
        $(#[$attribute])*
        $vis trait $service {
            $(
                $(#[$method_attribute])*
                fn $method(&self, $call: &$crate::Call<'_> $(, $argument: $type)*) $(-> $result)?;
            )*
        }

        #[doc = concat!("The server of [`", stringify!($service), "`], around what implements it.")]
        #[derive(Debug, Clone, Default)]
        $vis struct $server<S>(pub S);

        const _: () = assert!(
            $crate::distinct(&[$($crate::service!(@id $method ($($type),*) $(-> $result)?)),*]),
            "two methods have the same number: rename one"
        );

        impl<S: $service> $crate::Serve for $server<S> {
            const SERVICE: $crate::ServiceInfo = $client::<()>::SERVICE;

            #[inline]
            fn dispatch(
                &self,
                call: &$crate::Call<'_>,
                method: u32,
                arguments: &[u8],
                results: &mut $crate::Results<'_>,
            ) -> $crate::Dispatched {
                $(
                    if method == const { $crate::service!(@id $method ($($type),*) $(-> $result)?) } {
                        return match call.arguments::<($($type,)*)>(arguments) {
                            Some(($($argument,)*)) => {
                                results.put(&self.0.$method(call $(, $argument)*))
                            }
                            None => $crate::Dispatched::Malformed,
                        };
                    }
                )*
                $crate::Dispatched::UnknownMethod
            }
        }

        #[doc = concat!("A client of [`", stringify!($service), "`].")]
        #[derive(Debug)]
        $vis struct $client<C> {
            caller: C,
            options: $crate::CallOptions,
        }

        #[allow(dead_code, reason = "not every program uses all of a client")]
        impl $client<()> {
            /// What the service's clients and servers must agree on.
            $vis const SERVICE: $crate::ServiceInfo = $crate::ServiceInfo::new(
                $name,
                $version,
                $crate::signature(&[$($crate::service!(@id $method ($($type),*) $(-> $result)?)),*]),
            );
        }

        #[allow(dead_code, reason = "not every program uses all of a client")]
        impl<C> $client<C> {
            /// A client that makes its calls by this caller, which is connected to the service.
            $vis const fn new(caller: C) -> Self {
                Self { caller, options: $crate::CallOptions::new() }
            }

            /// How all its calls are made from now on.
            $vis const fn set_options(&mut self, options: $crate::CallOptions) {
                self.options = options;
            }

            /// A client for a call that is made in this way.
            $vis const fn with(&mut self, options: $crate::CallOptions) -> $client<&mut C> {
                $client { caller: &mut self.caller, options }
            }

            /// What makes the calls.
            $vis const fn caller(&mut self) -> &mut C {
                &mut self.caller
            }
        }

        #[allow(dead_code, reason = "not every program uses all of a client")]
        impl<L: $crate::SendFrame + $crate::RecvFrame> $client<$crate::Client<L>> {
            /// Connects over this link, which somebody serves.
            ///
            /// # Errors
            ///
            /// Those of `ipc_rpc::Client::connect`.
            $vis fn connect(
                link: L,
                options: &$crate::ClientOptions,
            ) -> Result<Self, $crate::ConnectError> {
                Ok(Self::new($crate::Client::connect(link, $client::<()>::SERVICE, options)?))
            }

            /// A client whose calls give tickets, for many calls under way at once.
            $vis fn pipelined(self) -> $client<$crate::Pipelined<L>> {
                $client { caller: $crate::Pipelined::new(self.caller), options: self.options }
            }
        }

        #[allow(dead_code, reason = "not every program uses all of a client")]
        impl<L: $crate::SendFrame + $crate::RecvFrame> $client<$crate::Pipelined<L>> {
            /// Waits for the result of a call.
            ///
            /// # Errors
            ///
            /// What came of the call.
            $vis fn finish<T: $crate::DeserializeOwned>(
                &mut self,
                ticket: $crate::Ticket<T>,
            ) -> Result<T, $crate::CallError> {
                self.caller.finish(ticket)
            }
        }

        #[allow(dead_code, reason = "not every program uses all of a client")]
        impl<C: $crate::Caller> $client<C> {
            $(
                $(#[$method_attribute])*
                #[inline]
                #[allow(clippy::too_many_arguments, reason = "they are the trait's")]
                $vis fn $method(
                    &mut self $(, $argument: $type)*
                ) -> C::Output<$crate::service!(@result $($result)?)> {
                    self.caller.invoke(
                        &self.options,
                        const { $crate::service!(@id $method ($($type),*) $(-> $result)?) },
                        &($($argument,)*),
                    )
                }
            )*
        }
    };
    (@id $method:ident ($($type:ty),*) $(-> $result:ty)?) => {
        $crate::method_id(stringify!($method), stringify!(($($type),*) $(-> $result)?))
    };
    (@result) => { () };
    (@result $result:ty) => { $result };
}
