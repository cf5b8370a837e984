using System.Globalization;
using System.Text;

namespace Postwright.Core.Tables.Remote;

// memcache_table(5), in memcached's text protocol: "get key" answered by "VALUE key flags length", the bytes, "END"; or "END".
// With a backup table, that table is asked where memcache has nothing or is down, and what it says is stored in memcache.
// Values are used as they are. A key that memcache cannot have (white space, control
// characters) is not found there; one of more than 250 bytes is an error.

/// <summary><c>memcache:/file</c>.</summary>
internal sealed class MemcacheTable : DatabaseTable
{
    /// <summary>memcached's own limit.</summary>
    private const int MaxKey = 250;

    private readonly RemotePool<RemoteConnection> _pool;
    private readonly ILookupTable? _backup;
    private readonly string _keyTemplate;
    private readonly string _stored;
    private readonly int _lineLimit;
    private readonly int _dataLimit;
    private readonly int _tries;
    private readonly TimeSpan _pause;
    private readonly TimeSpan _commandTime;

    private MemcacheTable(RemoteTableSource source, TableConfigurationFile settings)
        : base(source, settings, TimeSpan.FromSeconds(
            settings.GetInt("max_try", 2, 1) * (settings.GetTime("timeout", 2).TotalSeconds + settings.GetTime("retry_pause", 1).TotalSeconds)))
    {
        _keyTemplate = Templates.Add(settings.Get("key_format", "%s"), isQuery: true);
        _lineLimit = settings.GetInt("line_size_limit", 1024, 1);
        _dataLimit = settings.GetInt("data_size_limit", 10240, 1, MaxAnswer);
        _tries = settings.GetInt("max_try", 2, 1);
        _pause = settings.GetTime("retry_pause", 1);
        _commandTime = settings.GetTime("timeout", 2);
        _stored = string.Create(CultureInfo.InvariantCulture, $"{settings.GetInt("flags", 0)} {settings.GetInt("ttl", 3600)}");
        _backup = settings.Find("backup") is { Length: > 0 } backup ? source.Lists.Open(backup) : null;
        _pool = new RemotePool<RemoteConnection>(
            new RemotePoolOptions
            {
                Hosts = [RemoteEndpoint.Parse(settings.Get("memcache", "inet:localhost:11211"), 11211)],
                Connections = source.Options.Connections,
                ConnectTime = _commandTime,
                FirstRetry = _pause,
            },
            async (endpoint, token) => new RemoteConnection(await RemoteStream.ConnectAsync(endpoint, token)),
            source.Time,
            source.Chance);
    }

    public static ILookupTable Open(RemoteTableSource source) => new MemcacheTable(source, TableConfigurationFile.Open(source));

    /// <summary>Reads the line that announces a value: how many bytes follow; null for "there is none".</summary>
    /// <exception cref="RemoteFailure">It is neither.</exception>
    internal static int? ParseHead(ReadOnlySpan<byte> line, int dataLimit)
    {
        string text = Encoding.Latin1.GetString(line.TrimEnd((byte)'\r'));
        if (text == "END")
        {
            return null;
        }

        return text.Split(' ') is ["VALUE", _, _, var length, ..] && int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out int count)
            ? count <= dataLimit ? count : throw new RemoteFailure($"memcache value of {count} bytes: the limit is {dataLimit}", hostIsWell: true)
            : throw new RemoteFailure($"memcache reply: {text[..Math.Min(text.Length, 100)]}");
    }

    protected override async ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline)
    {
        string name = Templates.Query(_keyTemplate, key, static part => part);
        bool isPossible = IsPossible(name);
        LookupResult kept = LookupResult.NotFound;
        try
        {
            kept = isPossible ? await GetAsync(name, deadline) : kept;
        }
        catch (RemoteFailure failure) when (_backup is not null)
        {
            Source.Log.Warning($"table {Name} lookup error: {failure.Message}");
            isPossible = false;
        }

        if (kept.IsFound || _backup is null)
        {
            return kept;
        }

        LookupResult answer = await _backup.LookupAsync(key, deadline);
        if (answer.Status == LookupStatus.TemporaryError)
        {
            throw new RemoteFailure($"{_backup.Name}: {answer.Error}");
        }

        if (isPossible && answer.IsFound)
        {
            await SetAsync(name, answer.Value, deadline);
        }

        return answer;
    }

    protected override void Close() => _pool.Dispose();

    private static bool IsPossible(string name) =>
        TableText.Encode(name) is { Length: > 0 } bytes && !bytes.AsSpan().ContainsAnyInRange((byte)0, (byte)' ') && !bytes.Contains((byte)0x7f);

    private async ValueTask<LookupResult> GetAsync(string name, CancellationToken deadline)
    {
        byte[] request = TableText.Encode($"get {name}\r\n");
        if (request.Length > MaxKey + 6)
        {
            throw new RemoteFailure($"memcache keys have at most {MaxKey} bytes");
        }

        for (int tries = 1; ; tries++)
        {
            try
            {
                return await _pool.RunAsync(
                    async (connection, token) => await ReadValueAsync(connection.Stream, request, token) is { } value ? LookupResult.Found(value) : LookupResult.NotFound,
                    deadline);
            }
            catch (RemoteFailure failure) when (tries < _tries && !failure.HostIsWell && !failure.Message.StartsWith("connect to ", StringComparison.Ordinal))
            {
                await Task.Delay(_pause, Source.Time, deadline);
            }
        }
    }

    private async ValueTask<string?> ReadValueAsync(RemoteStream stream, byte[] request, CancellationToken token)
    {
        using var limit = new CancellationTokenSource(_commandTime, Source.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, token);
        try
        {
            await stream.WriteAsync(request, both.Token);
            if (ParseHead((await stream.ReadLineAsync(_lineLimit, both.Token)).Span, _dataLimit) is not int length)
            {
                return null;
            }

            string value = TableText.Decode((await stream.ReadAsync(length + 2, both.Token)).Span[..length]);
            return Encoding.Latin1.GetString((await stream.ReadLineAsync(_lineLimit, both.Token)).Span).TrimEnd('\r') == "END"
                ? value
                : throw new RemoteFailure("memcache reply without an end");
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            throw new RemoteFailure($"no answer within {_commandTime.TotalSeconds:0.###} s");
        }
    }

    private async ValueTask SetAsync(string name, string value, CancellationToken deadline)
    {
        byte[] data = TableText.Encode(value);
        byte[] request = [.. TableText.Encode($"set {name} {_stored} {data.Length}\r\n"), .. data, (byte)'\r', (byte)'\n'];
        try
        {
            await _pool.RunAsync(
                async (connection, token) =>
                {
                    await connection.Stream.WriteAsync(request, token);
                    string reply = Encoding.Latin1.GetString((await connection.Stream.ReadLineAsync(_lineLimit, token)).Span).TrimEnd('\r');
                    return reply == "STORED" ? true : throw new RemoteFailure($"memcache reply to set: {reply[..Math.Min(reply.Length, 100)]}");
                },
                deadline);
        }
        catch (RemoteFailure failure)
        {
            // The answer is known; keeping it was a kindness to the next lookup.
            Source.Log.Warning($"table {Name} update error: {failure.Message}");
        }
    }
}
