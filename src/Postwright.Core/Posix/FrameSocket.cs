using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Posix;

/// <summary>
/// A stream of frames on a blocking unix-domain socket: four bytes of length (big-endian, at most the reader's limit), then the
/// frame; a descriptor may travel beside the first bytes. For threads that may block; one writer and one reader at a time.
/// <para>What goes wrong is an <see cref="IOException"/>: the peer is gone, or sent what no peer of ours sends. Received
/// descriptors are close-on-exec and owned by the caller; more than one, or one that was not expected, ends the connection.</para>
/// </summary>
public sealed unsafe partial class FrameSocket : IDisposable
{
    private const int RightsSpace = 24; // CMSG_SPACE(sizeof(int)) on 64-bit Linux
    private int _descriptor;

    private FrameSocket(int descriptor) => _descriptor = descriptor;

    /// <summary>Takes over a connected socket's descriptor and makes it blocking.</summary>
    public static FrameSocket Take(int descriptor)
    {
        int flags = fcntl(descriptor, 3, 0);
        _ = fcntl(descriptor, 4, flags & ~OpenFlags.NonBlocking);
        return new FrameSocket(descriptor);
    }

    /// <summary>Connects to a socket in the file system.</summary>
    /// <exception cref="IOException">Nobody listens there.</exception>
    public static FrameSocket Connect(string path)
    {
        int descriptor = Check(socket(1, 1 | 0x80000, 0), "socket");
        var frames = new FrameSocket(descriptor);
        try
        {
            Address address = Address.Of(path, out int length);
            Check(connect(descriptor, &address, length), $"connect to {path}");
            return frames;
        }
        catch
        {
            frames.Dispose();
            throw;
        }
    }

    /// <summary>Two connected ends.</summary>
    public static (FrameSocket First, FrameSocket Second) Pair()
    {
        int* ends = stackalloc int[2];
        Check(socketpair(1, 1 | 0x80000, 0, ends), "socketpair");
        return (new FrameSocket(ends[0]), new FrameSocket(ends[1]));
    }

    /// <summary>A listening socket in the file system, of the given mode; a stale one is replaced. The descriptor is the caller's.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public static int Listen(string path, uint mode)
    {
        int descriptor = Check(socket(1, 1 | 0x80000, 0), "socket");
        try
        {
            _ = DeliveryFile.Unlink(path);
            Address address = Address.Of(path, out int length);
            Check(bind(descriptor, &address, length), $"bind to {path}");
            Check(chmod(path, mode), $"chmod {path}");
            Check(listen(descriptor, 128), "listen");
            return descriptor;
        }
        catch
        {
            _ = DeliveryFile.Close(descriptor);
            throw;
        }
    }

    /// <summary>The next connection of a listening socket; null when the socket was shut down or closed.</summary>
    public static FrameSocket? Accept(int listener)
    {
        while (true)
        {
            int descriptor = DeliveryFile.Result(accept4(listener, null, null, 0x80000));
            if (descriptor >= 0)
            {
                return new FrameSocket(descriptor);
            }

            if (descriptor == -Errno.TryAgain)
            {
                // The listening socket is shared with a process that made it non-blocking.
                var waiting = new Waiting { Descriptor = listener, Wanted = 1 };
                _ = poll(&waiting, 1, -1);
                if ((waiting.Happened & 0x38) != 0)
                {
                    // Shut down: POLLHUP, which accept does not tell of here.
                    return null;
                }
            }
            else if (descriptor is -Errno.TooManyDescriptors or -Errno.TooManyFiles or -Errno.NoMemory)
            {
                // Out of descriptors: somebody will close one.
                _ = poll(null, 0, 1000);
            }
            else if (descriptor is not (-Errno.Interrupted or -103))
            {
                return null;
            }
        }
    }

    /// <summary>Ends pending and later accepts of a listening socket.</summary>
    public static void ShutdownListener(int listener) => _ = shutdown(listener, 2);

    /// <summary>Who is at the other end, as the kernel says (SO_PEERCRED); null when it does not.</summary>
    public uint? PeerUser
    {
        get
        {
            uint* credentials = stackalloc uint[3];
            int length = 12;
            return getsockopt(_descriptor, 1, 17, credentials, &length) == 0 && length == 12 ? credentials[1] : null;
        }
    }

    /// <summary>Sends a frame, with a descriptor beside it if given (which stays the caller's).</summary>
    /// <exception cref="IOException">The peer is gone.</exception>
    public void Send(ReadOnlySpan<byte> frame, SafeFileHandle? file = null)
    {
        byte* header = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(new Span<byte>(header, 4), frame.Length);
        bool held = false;
        try
        {
            file?.DangerousAddRef(ref held);
            fixed (byte* bytes = frame)
            {
                SendAll(header, bytes, frame.Length, held ? (int)file!.DangerousGetHandle() : -1);
            }
        }
        finally
        {
            if (held)
            {
                file!.DangerousRelease();
            }
        }
    }

    /// <summary>Receives a frame; null at the peer's orderly end.</summary>
    /// <param name="limit">Bytes a frame may have.</param>
    /// <param name="file">The descriptor that came with it, or null.</param>
    /// <exception cref="IOException">The peer is gone in the middle, or the frame is too large.</exception>
    public byte[]? Receive(int limit, out SafeFileHandle? file) => Receive(limit, null, out file);

    /// <summary>Receives a frame; null at the peer's orderly end.</summary>
    /// <param name="limit">Bytes a frame may have.</param>
    /// <param name="timeLeft">How long the rest of the frame may still take, asked before each wait; null for ever.</param>
    /// <param name="file">The descriptor that came with it, or null.</param>
    /// <exception cref="IOException">The peer is gone in the middle, the frame is too large, or no time is left: the stream is out of step then.</exception>
    public byte[]? Receive(int limit, Func<TimeSpan>? timeLeft, out SafeFileHandle? file)
    {
        file = null;
        byte* header = stackalloc byte[4];
        int have = 0;
        try
        {
            while (have < 4)
            {
                int count = ReceiveSome(header + have, 4 - have, timeLeft, ref file);
                if (count == 0)
                {
                    return have == 0 && file is null ? null : throw new IOException("the peer ended in the middle of a frame");
                }

                have += count;
            }

            uint length = BinaryPrimitives.ReadUInt32BigEndian(new ReadOnlySpan<byte>(header, 4));
            if (length > limit)
            {
                throw new IOException($"a frame of {length} bytes, where {limit} are allowed");
            }

            return ReceiveBody((int)length, timeLeft, ref file);
        }
        catch
        {
            file?.Dispose();
            file = null;
            throw;
        }
    }

    /// <summary>Makes pending and later calls end; safe from another thread.</summary>
    public void Shutdown()
    {
        int descriptor = Volatile.Read(ref _descriptor);
        if (descriptor >= 0)
        {
            _ = shutdown(descriptor, 2);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0)
        {
            _ = DeliveryFile.Close(descriptor);
        }
    }

    private byte[] ReceiveBody(int length, Func<TimeSpan>? timeLeft, ref SafeFileHandle? file)
    {
        var frame = new byte[length];
        int have = 0;
        fixed (byte* bytes = frame)
        {
            while (have < length)
            {
                int count = ReceiveSome(bytes + have, length - have, timeLeft, ref file);
                have += count > 0 ? count : throw new IOException("the peer ended in the middle of a frame");
            }
        }

        return frame;
    }

    private void SendAll(byte* header, byte* bytes, int length, int descriptor)
    {
        byte* control = stackalloc byte[RightsSpace];
        Vector* parts = stackalloc Vector[2];
        int sent = 0;
        while (sent < length + 4)
        {
            int inHeader = Math.Max(0, 4 - sent);
            int inFrame = Math.Max(0, sent - 4);
            parts[0] = new Vector { Start = header + 4 - inHeader, Length = inHeader };
            parts[1] = new Vector { Start = bytes + inFrame, Length = length - inFrame };
            var message = new Message { Parts = parts, PartCount = 2 };
            if (sent == 0 && descriptor >= 0)
            {
                // SOL_SOCKET, SCM_RIGHTS, one descriptor.
                *(nint*)control = 20;
                *(int*)(control + 8) = 1;
                *(int*)(control + 12) = 1;
                *(int*)(control + 16) = descriptor;
                message.Control = control;
                message.ControlLength = RightsSpace;
            }

            // MSG_NOSIGNAL.
            int count = DeliveryFile.Result(sendmsg(_descriptor, &message, 0x4000));
            sent += count >= 0 ? count : count == -Errno.Interrupted ? 0 : throw new IOException($"send: {DeliveryFile.ErrorText(count)}");
        }
    }

    private void WaitForBytes(Func<TimeSpan> timeLeft)
    {
        var waiting = new Waiting { Descriptor = _descriptor, Wanted = 1 };
        while (timeLeft() is var left && left > TimeSpan.Zero)
        {
            if (poll(&waiting, 1, (int)Math.Ceiling(Math.Min(left.TotalMilliseconds, int.MaxValue))) > 0)
            {
                return;
            }
        }

        throw new IOException("no answer in time");
    }

    private int ReceiveSome(byte* buffer, int length, Func<TimeSpan>? timeLeft, ref SafeFileHandle? file)
    {
        const int ControlSize = 256;
        byte* control = stackalloc byte[ControlSize];
        while (true)
        {
            if (timeLeft is not null)
            {
                WaitForBytes(timeLeft);
            }

            var part = new Vector { Start = buffer, Length = length };
            var message = new Message { Parts = &part, PartCount = 1, Control = control, ControlLength = ControlSize };

            // MSG_CMSG_CLOEXEC.
            int count = DeliveryFile.Result(recvmsg(_descriptor, &message, 0x40000000));
            if (count == -Errno.Interrupted)
            {
                continue;
            }

            if (count < 0)
            {
                throw new IOException($"receive: {DeliveryFile.ErrorText(count)}");
            }

            TakeRights(control, (int)message.ControlLength, ref file);
            return count;
        }
    }

    // All descriptors are taken, so that none leaks; more than one is an error.
    private static void TakeRights(byte* control, int length, ref SafeFileHandle? file)
    {
        bool excess = false;
        for (int at = 0; at + 16 <= length;)
        {
            int size = (int)*(nint*)(control + at);
            if (size < 16 || size > length - at)
            {
                break;
            }

            bool isRights = *(int*)(control + at + 8) == 1 && *(int*)(control + at + 12) == 1;
            for (int i = 16; isRights && i + 4 <= size; i += 4)
            {
                var received = new SafeFileHandle(*(int*)(control + at + i), true);
                if (file is null)
                {
                    file = received;
                }
                else
                {
                    received.Dispose();
                    excess = true;
                }
            }

            at += (size + 7) & ~7;
        }

        if (excess)
        {
            throw new IOException("more descriptors than one");
        }
    }

    private static int Check(int result, string what)
        => result >= 0 ? result : throw new IOException($"{what}: {Marshal.GetLastPInvokeErrorMessage()}");

    [StructLayout(LayoutKind.Sequential)]
    private struct Vector
    {
        public byte* Start;
        public nint Length;
    }

    // struct pollfd.
    [StructLayout(LayoutKind.Sequential)]
    private struct Waiting
    {
        public int Descriptor;
        public short Wanted;
        public short Happened;
    }

    // struct msghdr of 64-bit Linux.
    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public void* Name;
        public uint NameLength;
        public Vector* Parts;
        public nint PartCount;
        public void* Control;
        public nint ControlLength;
        public int Flags;
    }

    // struct sockaddr_un.
    [StructLayout(LayoutKind.Sequential)]
    private struct Address
    {
        public ushort Family;
        public fixed byte Path[108];

        public static Address Of(string path, out int length)
        {
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(path);
            if (bytes.Length >= 108)
            {
                throw new IOException($"the name of a socket is too long: {path}");
            }

            var address = new Address { Family = 1 };
            for (int i = 0; i < bytes.Length; i++)
            {
                address.Path[i] = bytes[i];
            }

            length = 2 + bytes.Length + 1;
            return address;
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socketpair(int family, int type, int protocol, int* ends);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(int descriptor, Address* address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(int descriptor, Address* address, int length);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int chmod(string path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int listen(int descriptor, int backlog);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int accept4(int descriptor, void* address, void* length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int shutdown(int descriptor, int how);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getsockopt(int descriptor, int level, int option, void* value, int* length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sendmsg(int descriptor, Message* message, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int recvmsg(int descriptor, Message* message, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(void* polls, nuint count, int milliseconds);
}
