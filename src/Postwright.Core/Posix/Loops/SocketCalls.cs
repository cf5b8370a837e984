using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

/// <summary>
/// The system calls of the event loops, on bare descriptors that never block. A result below 0 is the negative errno.
/// Layouts and numbers are those of 64-bit Linux; where x86-64 and arm64 differ, it is said.
/// </summary>
internal static unsafe partial class SocketCalls
{
    public const uint Readable = 0x1;
    public const uint Writable = 0x4;
    public const uint Failed = 0x8 | 0x10 | 0x2000; // EPOLLERR, EPOLLHUP, EPOLLRDHUP
    public const uint EdgeTriggered = 1u << 31;

    private const int StreamNonBlocking = 1 | 0x800 | 0x80000; // SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC
    private const int AcceptNonBlocking = 0x800 | 0x80000;
    private const int NoSignal = 0x4000;
    private const int AddControl = 1;
    private const int RemoveControl = 2;
    private const int GetFlags = 3;
    private const int SetFlags = 4;
    private const int NonBlocking = 0x800;
    private const int TcpLevel = 6;
    private const int NoDelayOption = 1;
    private const int SocketLevel = 1;
    private const int ErrorOption = 4;
    private const int LingerOption = 13;
    private const int AvailableRequest = 0x541B; // FIONREAD

    // struct epoll_event is packed on x86-64 alone.
    private static readonly int EventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int EventTag = EventSize - 8;

    public static int NewPoll() => Check(epoll_create1(0x80000));

    public static int NewWake() => Check(eventfd(0, NonBlocking | 0x80000));

    /// <summary>Adds a descriptor; each of its events carries <paramref name="tag"/>.</summary>
    public static int Watch(int poll, int descriptor, uint events, nint tag)
    {
        byte* buffer = stackalloc byte[16];
        *(uint*)buffer = events;
        *(nint*)(buffer + EventTag) = tag;
        return Result(epoll_ctl(poll, AddControl, descriptor, buffer));
    }

    /// <summary>Ends the watching of a descriptor that is still open.</summary>
    public static void Unwatch(int poll, int descriptor)
    {
        _ = epoll_ctl(poll, RemoveControl, descriptor, null);
    }

    /// <summary>Bytes of a buffer for <paramref name="count"/> events.</summary>
    public static int EventBytes(int count) => count * EventSize;

    public static int Wait(int poll, byte* events, int most, int milliseconds) => Result(epoll_wait(poll, events, most, milliseconds));

    public static uint EventsAt(byte* events, int index) => *(uint*)(events + (index * EventSize));

    public static nint TagAt(byte* events, int index) => *(nint*)(events + (index * EventSize) + EventTag);

    public static void Wake(int wake)
    {
        ulong one = 1;
        _ = write(wake, &one, 8);
    }

    public static void ClearWake(int wake)
    {
        ulong count;
        _ = read(wake, &count, 8);
    }

    public static int Receive(int descriptor, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            return Result((int)recv(descriptor, start, (nuint)buffer.Length, 0));
        }
    }

    public static int Send(int descriptor, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return Result((int)send(descriptor, start, (nuint)bytes.Length, NoSignal));
        }
    }

    public static int NewSocket(AddressFamily family) => Result(socket(family == AddressFamily.InterNetworkV6 ? 10 : 2, StreamNonBlocking, 0));

    public static int Bind(int descriptor, EndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        fixed (byte* start = address.Buffer.Span)
        {
            return Result(bind(descriptor, start, (uint)address.Size));
        }
    }

    public static int Connect(int descriptor, EndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        fixed (byte* start = address.Buffer.Span)
        {
            return Result(connect(descriptor, start, (uint)address.Size));
        }
    }

    /// <summary>The next client, with its address; the family is that of the listener.</summary>
    public static int Accept(int listener, IPEndPoint family, out EndPoint remote)
    {
        SocketAddress address = family.Serialize();
        uint size = (uint)address.Size;
        int descriptor;
        fixed (byte* start = address.Buffer.Span)
        {
            descriptor = Result(accept4(listener, start, &size, AcceptNonBlocking));
        }

        remote = descriptor >= 0 ? family.Create(address) : family;
        return descriptor;
    }

    /// <summary>Our side of a connection.</summary>
    public static EndPoint LocalEndPoint(int descriptor, IPEndPoint family)
    {
        SocketAddress address = family.Serialize();
        uint size = (uint)address.Size;
        fixed (byte* start = address.Buffer.Span)
        {
            return Result(getsockname(descriptor, start, &size)) < 0 ? family : family.Create(address);
        }
    }

    /// <summary>Replies and pipelined commands go out whole; waiting for more to send would only add latency.</summary>
    public static void SendAtOnce(int descriptor)
    {
        int one = 1;
        _ = setsockopt(descriptor, TcpLevel, NoDelayOption, &one, 4);
    }

    /// <summary>The outcome of a connect: 0, or the errno.</summary>
    public static int PendingError(int descriptor)
    {
        int error = 0;
        uint size = 4;
        int result = Result(getsockopt(descriptor, SocketLevel, ErrorOption, &error, &size));
        return result < 0 ? -result : error;
    }

    public static void NeverBlock(int descriptor) => _ = fcntl(descriptor, SetFlags, fcntl(descriptor, GetFlags, 0) | NonBlocking);

    /// <summary>Bytes that wait to be received.</summary>
    public static int Available(int descriptor)
    {
        int count = 0;
        return ioctl(descriptor, AvailableRequest, &count) < 0 ? 0 : count;
    }

    /// <summary>Says that no more will be sent.</summary>
    public static void EndSending(int descriptor) => _ = shutdown(descriptor, 1);

    /// <summary>Closes with a reset: what was not sent is thrown away.</summary>
    public static void Reset(int descriptor)
    {
        int* linger = stackalloc int[2] { 1, 0 };
        _ = setsockopt(descriptor, SocketLevel, LingerOption, linger, 8);
        Close(descriptor);
    }

    public static void Close(int descriptor) => _ = close(descriptor);

    /// <summary>The exception that .NET's own sockets throw for this errno.</summary>
    public static SocketException Exception(int errno) => new((int)(errno switch
    {
        1 or 13 => SocketError.AccessDenied,
        23 or 24 => SocketError.TooManyOpenSockets,
        97 => SocketError.AddressFamilyNotSupported,
        98 => SocketError.AddressAlreadyInUse,
        99 => SocketError.AddressNotAvailable,
        100 => SocketError.NetworkDown,
        101 => SocketError.NetworkUnreachable,
        103 => SocketError.ConnectionAborted,
        104 or 32 => SocketError.ConnectionReset,
        105 or 12 => SocketError.NoBufferSpaceAvailable,
        110 => SocketError.TimedOut,
        111 => SocketError.ConnectionRefused,
        112 => SocketError.HostDown,
        113 => SocketError.HostUnreachable,
        _ => SocketError.SocketError,
    }));

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    private static int Check(int descriptor) =>
        descriptor >= 0 ? descriptor : throw new IOException($"event loop: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(int poll, int operation, int descriptor, void* data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_wait(int poll, void* events, int most, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint value, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(int descriptor, void* buffer, nuint count, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int descriptor, void* buffer, nuint count, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(int descriptor, void* address, uint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(int descriptor, void* address, uint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int accept4(int descriptor, void* address, uint* size, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getsockname(int descriptor, void* address, uint* size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getsockopt(int descriptor, int level, int option, void* value, uint* size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setsockopt(int descriptor, int level, int option, void* value, uint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int shutdown(int descriptor, int how);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);
}
