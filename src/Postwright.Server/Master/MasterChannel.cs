using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Server.Master;

/// <summary>
/// The line between master and a child: a pair of sequenced-packet sockets that carries short texts and descriptors
/// (SCM_RIGHTS). Its end is the news that the other side is gone, so it is the death pipe too. One thread may receive while
/// any number send.
/// </summary>
public sealed unsafe class MasterChannel : IDisposable
{
    /// <summary>Bytes of a message at most: the names of 250 listeners fit.</summary>
    public const int MessageLimit = 32 * 1024;

    /// <summary>Descriptors of a message at most; the kernel's own limit is 253.</summary>
    public const int DescriptorLimit = 250;

    // Counted by the handle: a receive in progress keeps the number from being used again.
    private readonly SafeFileHandle _descriptor;

    /// <summary>Takes over one end.</summary>
    public MasterChannel(int descriptor) => _descriptor = new SafeFileHandle(descriptor, ownsHandle: true);

    /// <summary>Makes both ends; the second is for the child, and closed here once the child has it.</summary>
    /// <exception cref="IOException">The kernel gave none.</exception>
    public static (MasterChannel Ours, int Theirs) CreatePair()
    {
        int* pair = stackalloc int[2];
        return MasterCalls.SocketPair(MasterCalls.SocketUnix, MasterCalls.SocketSequencedPacket | MasterCalls.CloseOnExec, 0, pair) == 0
            ? (new MasterChannel(pair[0]), pair[1])
            : throw new IOException($"socketpair: {MasterCalls.LastError}");
    }

    /// <summary>Sends a message; false if the other side is gone.</summary>
    public bool Send(string text, params ReadOnlySpan<int> descriptors)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes.Length, MessageLimit);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, DescriptorLimit);
        byte* control = stackalloc byte[ControlSpace(descriptors.Length)];
        fixed (byte* start = bytes)
        {
            MasterCalls.IoVector vector = new() { Base = start, Length = (nuint)bytes.Length };
            MasterCalls.MessageHeader message = new() { Vectors = &vector, VectorCount = 1 };
            if (descriptors.Length > 0)
            {
                MasterCalls.ControlHeader* header = (MasterCalls.ControlHeader*)control;
                header->Length = (nuint)(sizeof(MasterCalls.ControlHeader) + (descriptors.Length * sizeof(int)));
                header->Level = MasterCalls.SolSocket;
                header->Type = MasterCalls.ScmRights;
                descriptors.CopyTo(new Span<int>(control + sizeof(MasterCalls.ControlHeader), descriptors.Length));
                message.Control = control;
                message.ControlLength = (nuint)ControlSpace(descriptors.Length);
            }

            nint sent;
            do
            {
                sent = MasterCalls.SendMessage(_descriptor, &message, MasterCalls.SendNoSignal);
            }
            while (sent < 0 && System.Runtime.InteropServices.Marshal.GetLastPInvokeError() == MasterCalls.Interrupted);

            return sent >= 0;
        }
    }

    /// <summary>Waits for a message; false at the end: the other side is gone, or this one was disposed.</summary>
    /// <param name="text">The text.</param>
    /// <param name="descriptors">What came with it, closed on exec; the caller's from now on.</param>
    public bool Receive(out string text, out int[] descriptors)
    {
        byte[] bytes = new byte[MessageLimit];
        byte* control = stackalloc byte[ControlSpace(DescriptorLimit)];
        text = "";
        descriptors = [];
        fixed (byte* start = bytes)
        {
            MasterCalls.IoVector vector = new() { Base = start, Length = MessageLimit };
            MasterCalls.MessageHeader message = new() { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = (nuint)ControlSpace(DescriptorLimit) };
            if (_descriptor.IsClosed)
            {
                return false;
            }

            nint count;
            do
            {
                count = MasterCalls.ReceiveMessage(_descriptor, &message, MasterCalls.ReceiveCloseOnExec);
            }
            while (count < 0 && System.Runtime.InteropServices.Marshal.GetLastPInvokeError() == MasterCalls.Interrupted);

            if (count <= 0)
            {
                return false;
            }

            text = Encoding.UTF8.GetString(start, (int)count);
            MasterCalls.ControlHeader* header = (MasterCalls.ControlHeader*)control;
            if (message.ControlLength >= (nuint)sizeof(MasterCalls.ControlHeader) && header->Level == MasterCalls.SolSocket && header->Type == MasterCalls.ScmRights)
            {
                int number = ((int)header->Length - sizeof(MasterCalls.ControlHeader)) / sizeof(int);
                descriptors = new Span<int>(control + sizeof(MasterCalls.ControlHeader), number).ToArray();
            }

            return true;
        }
    }

    /// <summary>Ends the line: the other side sees its end, and a pending <see cref="Receive"/> here returns.</summary>
    public void Dispose()
    {
        if (!_descriptor.IsClosed)
        {
            _ = MasterCalls.Shutdown(_descriptor, 2);
            _descriptor.Dispose();
        }
    }

    // CMSG_SPACE: header and data, each aligned to 8.
    private static int ControlSpace(int descriptors) => sizeof(MasterCalls.ControlHeader) + (((descriptors * sizeof(int)) + 7) & ~7);
}
