//! Clients with a source address of their choice: all of 127.0.0.0/8 is this machine.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::client::Client;

/// Connects from 127.0.0.`last`, with a receive buffer of so many bytes if one is given.
pub fn connect_from(last: u8, to: SocketAddr, receive_buffer: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let source: SocketAddr = (Ipv4Addr::new(127, 0, 0, last), 0).into();
    socket.bind(&source.into()).expect("an address of this machine");
    if let Some(size) = receive_buffer {
        // Before the connection is there, or the window is larger already.
        socket.set_recv_buffer_size(size).expect("a small buffer");
    }
    socket.connect(&to.into()).expect("connected");
    socket.into()
}

/// A client at 127.0.0.`last`.
pub fn client_from(last: u8, to: SocketAddr) -> Client {
    Client::over(connect_from(last, to, None))
}
