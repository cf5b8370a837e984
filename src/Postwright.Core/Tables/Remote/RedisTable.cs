using System.Globalization;
using System.Text;

namespace Postwright.Core.Tables.Remote;

// Beyond Postfix: GET key, or HGET hash key, in Redis' protocol (RESP2): a command is an array of byte strings; a reply is one
// of "+text", "-error", ":number", "$length" and bytes, "$-1" for nothing. Keys are bytes, so nothing needs quoting.

/// <summary>
/// <c>redis:/file</c>: <c>hosts</c> (inet:host:port or unix:/path, in order), <c>user</c>, <c>password</c>, <c>dbname</c> (a number),
/// <c>key_format</c>, <c>hash</c> (look in that hash), <c>timeout</c>, <c>tls</c> and the tls_ settings of mysql:, and
/// <c>domain</c>, <c>result_format</c>, <c>expansion_limit</c> as everywhere.
/// </summary>
internal sealed class RedisTable : DatabaseTable
{
    private const int MaxLine = 4096;

    private readonly RemotePool<RemoteConnection> _pool;
    private readonly string _keyTemplate;
    private readonly string? _hash;
    private readonly RemoteTls? _tls;
    private readonly List<byte[]> _logIn = [];

    private RedisTable(RemoteTableSource source, TableConfigurationFile settings)
        : base(source, settings, settings.GetTime("timeout", 5))
    {
        _keyTemplate = Templates.Add(settings.Get("key_format", "%s"), isQuery: true);
        _hash = settings.Find("hash") is { Length: > 0 } hash ? hash : null;
        if (settings.Find("password") is { Length: > 0 } password)
        {
            _logIn.Add(settings.Find("user") is { Length: > 0 } user ? Command("AUTH", user, password) : Command("AUTH", password));
        }

        if (settings.GetInt("dbname", 0) is > 0 and int database)
        {
            _logIn.Add(Command("SELECT", database.ToString(CultureInfo.InvariantCulture)));
        }

        bool verifies = settings.GetBool("tls_verify_cert", true);
        _tls = settings.GetBool("tls", false)
            ? new RemoteTls
            {
                VerifiesChain = verifies,
                VerifiesName = verifies,
                AuthorityFile = settings.Find("tls_CAfile"),
                AuthorityDirectory = settings.Find("tls_CApath"),
                CertificateFile = settings.Find("tls_cert_file"),
                KeyFile = settings.Find("tls_key_file"),
            }
            : null;
        RemoteEndpoint[] hosts = [.. settings.GetWords("hosts", "inet:localhost:6379").Select(static host => RemoteEndpoint.Parse(host, 6379))];
        _pool = new RemotePool<RemoteConnection>(
            new RemotePoolOptions { Hosts = hosts, Connections = source.Options.Connections, ConnectTime = Timeout / Math.Max(hosts.Length, 1) },
            ConnectAsync,
            source.Time,
            source.Chance);
    }

    public static ILookupTable Open(RemoteTableSource source) => new RedisTable(source, TableConfigurationFile.Open(source));

    /// <summary>A command as it is sent.</summary>
    internal static byte[] Command(params ReadOnlySpan<string> words)
    {
        var bytes = new List<byte>(Encoding.ASCII.GetBytes($"*{words.Length}\r\n"));
        foreach (string word in words)
        {
            byte[] text = TableText.Encode(word);
            bytes.AddRange(Encoding.ASCII.GetBytes($"${text.Length}\r\n"));
            bytes.AddRange(text);
            bytes.AddRange("\r\n"u8);
        }

        return [.. bytes];
    }

    /// <summary>Reads a reply's first line: a text that stands in it, or how many bytes follow (-1 for nothing).</summary>
    /// <exception cref="RemoteFailure">The server refuses, or answers something else than text.</exception>
    internal static (string? Text, int Length) ParseLine(ReadOnlySpan<byte> line)
    {
        string text = Encoding.UTF8.GetString(line.TrimEnd((byte)'\r'));
        string rest = text.Length > 0 ? text[1..] : "";
        return (text.Length > 0 ? text[0] : '\0') switch
        {
            '+' or ':' => (rest, 0),
            '-' => throw new RemoteFailure($"redis: {rest[..Math.Min(rest.Length, 200)]}", usable: true),
            '$' when rest == "-1" => (null, -1),
            '$' when int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out int length) =>
                length <= MaxAnswer ? (null, length) : throw new RemoteFailure($"the answer has more than {MaxAnswer} bytes", hostIsWell: true),
            _ => throw new RemoteFailure("malformed redis reply"),
        };
    }

    protected override ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline)
    {
        string name = Templates.Query(_keyTemplate, key, static part => part);
        byte[] command = _hash is null ? Command("GET", name) : Command("HGET", _hash, name);
        return _pool.RunAsync(async (connection, token) => Join(key, [await AskAsync(connection.Stream, command, token)]), deadline);
    }

    protected override void Close() => _pool.Dispose();

    private async ValueTask<RemoteConnection> ConnectAsync(RemoteEndpoint endpoint, CancellationToken token)
    {
        RemoteStream stream = await RemoteStream.ConnectAsync(endpoint, token);
        try
        {
            if (_tls is not null)
            {
                await stream.StartTlsAsync(_tls.For(endpoint.Host), token);
            }

            foreach (byte[] command in _logIn)
            {
                await AskAsync(stream, command, token);
            }

            return new RemoteConnection(stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    private static async ValueTask<string?> AskAsync(RemoteStream stream, byte[] command, CancellationToken token)
    {
        await stream.WriteAsync(command, token);
        (string? text, int length) = ParseLine((await stream.ReadLineAsync(MaxLine, token)).Span);
        if (text is not null || length < 0)
        {
            return text;
        }

        ReadOnlyMemory<byte> value = await stream.ReadAsync(length + 2, token);
        return value.Span[^2..].SequenceEqual("\r\n"u8) ? TableText.Decode(value.Span[..^2]) : throw new RemoteFailure("malformed redis reply");
    }
}
