using System.Text;

namespace Postwright.Core.Tables.Remote;

// tcp_table(5): "get key" answered by "200 value", "500 text" (no such key) or "400 text", each a line, %XX for what a line
// cannot carry. Like socketmap it sees whole keys only, as they come.

/// <summary><c>tcp:host:port</c>.</summary>
internal sealed class TcpTable : RemoteTable
{
    /// <summary>tcp_table(5): replies have at most 4096 characters with the line feed.</summary>
    public const int MaxReply = 4096;

    /// <summary>tcp_table(5).</summary>
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(100);

    private readonly RemotePool<RemoteConnection> _pool;

    private TcpTable(RemoteTableSource source, RemoteEndpoint server)
        : base(source, DefaultTimeout)
    {
        _pool = new RemotePool<RemoteConnection>(
            new RemotePoolOptions { Hosts = [server], Connections = source.Options.Connections, ConnectTime = Timeout },
            async (endpoint, token) => new RemoteConnection(await RemoteStream.ConnectAsync(endpoint, token)),
            source.Time,
            source.Chance);
    }

    public static ILookupTable Open(RemoteTableSource source) => new TcpTable(source, RemoteEndpoint.Parse(source.Rest, 0));

    /// <summary>Reads a reply line, without its line feed.</summary>
    /// <exception cref="RemoteFailure">The server cannot answer, or not so that it can be understood.</exception>
    public static LookupResult ParseReply(ReadOnlySpan<byte> line)
    {
        if (line.Length < 4 || line[..3].ContainsAnyExceptInRange((byte)'0', (byte)'9') || !LogicalLines.White.Contains((char)line[3])
            || Unquote(line[4..]) is not { } text)
        {
            throw new RemoteFailure($"malformed reply: {Encoding.Latin1.GetString(line[..Math.Min(line.Length, 100)])}");
        }

        return line[0] switch
        {
            (byte)'2' => LookupResult.Found(TableText.Decode(text)),
            (byte)'5' => LookupResult.NotFound,
            (byte)'4' => throw new RemoteFailure($"server reply: {Encoding.Latin1.GetString(line[..Math.Min(line.Length, 200)])}", usable: true),
            _ => throw new RemoteFailure($"bad status code: {Encoding.Latin1.GetString(line[..Math.Min(line.Length, 100)])}"),
        };
    }

    /// <summary>%XX for the percent sign, white space and everything that is not printable ASCII.</summary>
    public static byte[] Quote(string key)
    {
        var quoted = new StringBuilder("get ");
        foreach (byte b in TableText.Encode(key))
        {
            _ = b is > 0x20 and < 0x7f and not (byte)'%' ? quoted.Append((char)b) : quoted.Append('%').Append(b.ToString("X2", null));
        }

        return Encoding.ASCII.GetBytes(quoted.Append('\n').ToString());
    }

    protected override ValueTask<LookupResult> AskAsync(string key, CancellationToken deadline)
    {
        byte[] request = Quote(key);
        return _pool.RunAsync(
            async (connection, token) =>
            {
                await connection.Stream.WriteAsync(request, token);
                return ParseReply((await connection.Stream.ReadLineAsync(MaxReply, token)).Span);
            },
            deadline);
    }

    protected override void Close() => _pool.Dispose();

    private static byte[]? Unquote(ReadOnlySpan<byte> text)
    {
        byte[] plain = new byte[text.Length];
        int length = 0;
        for (int i = 0; i < text.Length; i++)
        {
            byte b = text[i];
            if (b == '%')
            {
                if (i + 2 >= text.Length
                    || Convert.FromHexString(text.Slice(i + 1, 2), plain.AsSpan(length), out _, out _) != System.Buffers.OperationStatus.Done)
                {
                    return null;
                }

                length++;
                i += 2;
                continue;
            }

            plain[length++] = b;
        }

        return plain[..length];
    }
}
