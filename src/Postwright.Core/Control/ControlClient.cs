using System.Net.Sockets;
using Postwright.Core.Records;

namespace Postwright.Core.Control;

/// <summary>Why there is no connection to the running system.</summary>
public enum ControlConnectStatus
{
    /// <summary>There is one.</summary>
    Connected,

    /// <summary>It is not running.</summary>
    Down,

    /// <summary>This user may not reach it.</summary>
    NotPermitted,
}

/// <summary>
/// A command's connection to the running mail system. Blocking, for commands that do one thing. An <see cref="IOException"/> from
/// it says that the system went away meanwhile.
/// </summary>
public sealed class ControlClient : IDisposable
{
    private readonly NetworkStream _stream;
    private readonly RecordWriter _writer;

    private ControlClient(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _writer = new RecordWriter(_stream);
        Reader = new RecordReader(_stream, ControlProtocol.RecordLimit);
    }

    /// <summary>The answers.</summary>
    public RecordReader Reader { get; }

    /// <summary>Connects to the system whose queue is at <paramref name="queueDirectory"/>.</summary>
    /// <param name="queueDirectory">queue_directory.</param>
    /// <param name="client">The connection, or null.</param>
    /// <param name="reason">In the system's words why there is none.</param>
    public static ControlConnectStatus TryConnect(string queueDirectory, out ControlClient? client, out string reason)
    {
        client = null;
        reason = "";
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(Path.Combine(queueDirectory, ControlProtocol.SocketName)));
            client = new ControlClient(socket);
            return ControlConnectStatus.Connected;
        }
        catch (SocketException failure)
        {
            socket.Dispose();
            reason = failure.SocketErrorCode switch
            {
                SocketError.AccessDenied => "Permission denied",
                SocketError.ConnectionRefused => "Connection refused",
                SocketError.AddressNotAvailable => "No such file or directory",
                _ => failure.NativeErrorCode == PosixFile.NoEntry ? "No such file or directory" : failure.Message,
            };
            return failure.SocketErrorCode == SocketError.AccessDenied ? ControlConnectStatus.NotPermitted : ControlConnectStatus.Down;
        }
    }

    /// <summary>Sends a request.</summary>
    public void Send(byte request, params IEnumerable<string> fields)
    {
        _writer.Write(request, ControlProtocol.Encode(fields));
        _writer.Flush();
    }

    /// <summary>Sends a request that is answered at once.</summary>
    /// <returns>The answer's fields, the first one <see cref="ControlProtocol.Done"/> or the reason why not.</returns>
    public IReadOnlyList<string> Ask(byte request, params IEnumerable<string> fields)
    {
        Send(request, fields);
        while (Reader.Read() == RecordReadStatus.Record)
        {
            if (Reader.Type == ControlProtocol.Answer)
            {
                return ControlProtocol.Decode(Reader.Data.Span);
            }
        }

        return ["the mail system went away"];
    }

    /// <inheritdoc />
    public void Dispose() => _stream.Dispose();
}
