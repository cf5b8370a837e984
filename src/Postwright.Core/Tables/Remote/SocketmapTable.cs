using System.Globalization;
using System.Text;

namespace Postwright.Core.Tables.Remote;

// socketmap_table(5): a netstring "name key" answered by a netstring "OK value", "NOTFOUND ", "TEMP reason", "TIMEOUT reason"
// or "PERM reason". Connections are closed after 10 s without use and after 100 s in any case, as Postfix does.

/// <summary><c>socketmap:inet:host:port:name</c> and <c>socketmap:unix:/path:name</c>.</summary>
internal sealed class SocketmapTable : RemoteTable
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(100);

    private readonly RemotePool<RemoteConnection> _pool;
    private readonly string _map;
    private readonly int _maxQuery;
    private readonly int _maxReply;

    private SocketmapTable(RemoteTableSource source, RemoteEndpoint server, string map)
        : base(source, DefaultTimeout)
    {
        _map = map;
        _maxQuery = source.Configuration.GetInt("socketmap_max_query_size");
        _maxReply = source.Configuration.GetInt("socketmap_max_reply_size");
        _pool = new RemotePool<RemoteConnection>(
            new RemotePoolOptions
            {
                Hosts = [server],
                Connections = source.Options.Connections,
                ConnectTime = Timeout,
                IdleLife = TimeSpan.FromSeconds(10),
                Life = TimeSpan.FromSeconds(100),
            },
            async (endpoint, token) => new RemoteConnection(await RemoteStream.ConnectAsync(endpoint, token)),
            source.Time,
            source.Chance);
    }

    public static ILookupTable Open(RemoteTableSource source)
    {
        int colon = source.Rest.LastIndexOf(':');
        return colon > 0 && colon + 1 < source.Rest.Length
            ? new SocketmapTable(source, RemoteEndpoint.ParseService(source.Rest[..colon], 0), source.Rest[(colon + 1)..])
            : throw new RemoteConfigurationException("socketmap requires server:socketmap argument");
    }

    /// <summary>Reads a netstring's length, from its digits without the colon (at most 9; no leading zero).</summary>
    public static int? ParseLength(ReadOnlySpan<byte> digits) =>
        digits.Length is > 0 and <= 9 && !digits.ContainsAnyExceptInRange((byte)'0', (byte)'9') && (digits.Length == 1 || digits[0] != '0')
            ? int.Parse(digits, NumberStyles.None, CultureInfo.InvariantCulture)
            : null;

    /// <summary>Reads a reply's content.</summary>
    /// <exception cref="RemoteFailure">The server says that it cannot answer, or nothing that can be understood.</exception>
    public static LookupResult ParseReply(ReadOnlySpan<byte> reply)
    {
        string text = TableText.Decode(reply);
        int space = text.IndexOf(' ', StringComparison.Ordinal);
        string status = space < 0 ? text : text[..space];
        string payload = space < 0 ? "" : text[(space + 1)..];
        switch (status)
        {
            case "OK" when space >= 0:
                // A NUL would end the value in Postfix; what follows it was never meant as a value.
                return payload.Contains('\0', StringComparison.Ordinal) ? throw new RemoteFailure("server reply with a NUL") : LookupResult.Found(payload);
            case "NOTFOUND":
                return LookupResult.NotFound;
            default:
                string kind = status switch { "TEMP" => "temporary", "TIMEOUT" => "timeout", "PERM" => "permanent", _ => "unknown" };
                string reason = payload.TrimStart(LogicalLines.White);
                reason = reason.Length > 200 ? reason[..200] : reason;
                throw new RemoteFailure($"socketmap server {kind} error{(reason.Length > 0 ? ": " : "")}{reason}", usable: kind != "unknown");
        }
    }

    protected override ValueTask<LookupResult> AskAsync(string key, CancellationToken deadline)
    {
        byte[] content = TableText.Encode($"{_map} {key}");
        if (content.Length > _maxQuery)
        {
            throw new RemoteFailure($"the request has more than socketmap_max_query_size ({_maxQuery}) bytes");
        }

        byte[] request = [.. Encoding.ASCII.GetBytes($"{content.Length}:"), .. content, (byte)','];
        return _pool.RunAsync(
            async (connection, token) =>
            {
                await connection.Stream.WriteAsync(request, token);
                return ParseReply((await ReadNetstringAsync(connection.Stream, token)).Span);
            },
            deadline);
    }

    protected override void Close() => _pool.Dispose();

    private async ValueTask<ReadOnlyMemory<byte>> ReadNetstringAsync(RemoteStream stream, CancellationToken token)
    {
        byte[] digits = new byte[10];
        int count = 0;
        for (byte next; (next = (await stream.ReadAsync(1, token)).Span[0]) != ':' || count == 0;)
        {
            if (count == digits.Length)
            {
                throw new RemoteFailure("netstring format error");
            }

            digits[count++] = next;
        }

        if (ParseLength(digits.AsSpan(0, count)) is not int length)
        {
            throw new RemoteFailure("netstring format error");
        }

        if (length > _maxReply)
        {
            throw new RemoteFailure("netstring size over limit");
        }

        ReadOnlyMemory<byte> content = await stream.ReadAsync(length + 1, token);
        return content.Span[^1] == ',' ? content[..^1] : throw new RemoteFailure("netstring format error");
    }
}
