using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Postwright.Core.Tables.Remote.Sql;

/// <summary>How to log in to a MySQL or MariaDB server; no TLS settings where TLS is not asked for.</summary>
internal sealed record MysqlLogin(string User, string Password, string Database, string Charset, RemoteTls? Tls);

// The client/server protocol of MySQL and MariaDB, as far as one text query needs it: log in (mysql_native_password,
// caching_sha2_password, mysql_clear_password under TLS), send a query, read rows as text. A packet is a length of three
// bytes, a number, and content. LOCAL INFILE, by which a server may ask for any file of the client's, is never granted.

/// <summary>A connection to a MySQL or MariaDB server that is ready for a query.</summary>
internal sealed class MysqlConnection : RemoteConnection
{
    private const int MaxPacket = 1 << 20;
    private const uint LongPassword = 1;
    private const uint ConnectWithDatabase = 8;
    private const uint Protocol41 = 0x200;
    private const uint TlsCapability = 0x800;
    private const uint Transactions = 0x2000;
    private const uint SecureConnection = 0x8000;
    private const uint MultiResults = 0x20000;
    private const uint PluginAuthentication = 0x80000;
    private const int MoreResults = 8;
    private const int NoBackslashEscapes = 0x200;
    private const byte Utf8Mb4 = 45;

    /// <summary>Errors after which the server hangs up: shutdown, closed for idleness, killed, and the like.</summary>
    private static readonly int[] LastWords = [1053, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031];

    private byte _sequence;
    private int _status;
    private bool _isPrivate;

    private MysqlConnection(RemoteStream stream)
        : base(stream)
    {
    }

    /// <summary>Connects and logs in.</summary>
    /// <exception cref="RemoteFailure">It does not work.</exception>
    public static async ValueTask<MysqlConnection> ConnectAsync(RemoteEndpoint endpoint, MysqlLogin login, CancellationToken cancellationToken)
    {
        RemoteStream stream = await RemoteStream.ConnectAsync(endpoint, cancellationToken);
        try
        {
            var connection = new MysqlConnection(stream) { _isPrivate = endpoint.Path is not null };
            await connection.LogInAsync(endpoint, login, cancellationToken);

            // Always: a server may pass over what the login says, or set something else for each client (init_connect); and the
            // answer tells how backslashes are read after that.
            await connection.QueryAsync($"SET NAMES {login.Charset}", static _ => { }, needsRows: false, cancellationToken);
            return connection;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Makes text safe between quotes, as this server reads them.</summary>
    public string Quote(string text)
    {
        if ((_status & NoBackslashEscapes) != 0)
        {
            return text.Replace("'", "''", StringComparison.Ordinal);
        }

        var quoted = new StringBuilder(text.Length + 8);
        foreach (char c in text)
        {
            _ = c switch
            {
                '\0' => quoted.Append(@"\0"),
                '\n' => quoted.Append(@"\n"),
                '\r' => quoted.Append(@"\r"),
                '\x1a' => quoted.Append(@"\Z"),
                '\\' or '\'' or '"' => quoted.Append('\\').Append(c),
                _ => quoted.Append(c),
            };
        }

        return quoted.ToString();
    }

    /// <summary>Every field of every row.</summary>
    /// <param name="query">SQL, or CALL of a procedure that gives one set of rows.</param>
    /// <param name="checkSize">Told how much has come so far.</param>
    /// <param name="needsRows">False where a statement without rows is "not found".</param>
    /// <param name="cancellationToken">The deadline.</param>
    /// <exception cref="RemoteFailure">The server refuses, or says what is no answer.</exception>
    public async ValueTask<List<string?>> QueryAsync(string query, Action<long> checkSize, bool needsRows, CancellationToken cancellationToken)
    {
        _sequence = 0;
        await SendAsync([0x03, .. TableText.Encode(query)], cancellationToken);
        var values = new List<string?>();
        int sets = 0;
        long size = 0;
        do
        {
            ReadOnlyMemory<byte> packet = await ReadAsync(cancellationToken);
            switch (packet.Length == 0 ? -1 : packet.Span[0])
            {
                case 0x00:
                    ReadOk(packet.Span);
                    continue;
                case 0xff:
                    throw QueryFailure(packet.Span);
                case 0xfb or -1:
                    throw new RemoteFailure("the server asks for a file of ours");
                default:
                    break;
            }

            sets++;
            int at = 0;
            int columns = (int)Math.Min(LengthEncoded(packet.Span, ref at) ?? 0, 4097);
            if (columns is 0 or > 4096)
            {
                throw new RemoteFailure("malformed result");
            }

            for (int i = 0; i <= columns; i++)
            {
                // A description each, then the packet that ends them.
                size += (await ReadAsync(cancellationToken)).Length;
                checkSize(size);
            }

            size = await ReadRowsAsync(columns, values, size, checkSize, cancellationToken);
        }
        while ((_status & MoreResults) != 0);

        return sets > 1 ? throw new RemoteFailure("multiple result sets are not supported", usable: true)
            : sets == 0 && needsRows ? throw new RemoteFailure("query returned no result set", usable: true)
            : values;
    }

    /// <summary>Reads a row: a text each, whose length is encoded, or 0xfb for NULL.</summary>
    /// <exception cref="RemoteFailure">It is malformed.</exception>
    internal static void AddRow(ReadOnlySpan<byte> row, int columns, List<string?> values)
    {
        int at = 0;
        for (int i = 0; i < columns; i++)
        {
            if (at < row.Length && row[at] == 0xfb)
            {
                at++;
                values.Add(null);
                continue;
            }

            if (LengthEncoded(row, ref at) is not { } length || length > row.Length - at)
            {
                throw new RemoteFailure("malformed row");
            }

            values.Add(TableText.Decode(row.Slice(at, (int)length)));
            at += (int)length;
        }
    }

    /// <summary>Reads a length-encoded number; null when it is cut off.</summary>
    internal static long? LengthEncoded(ReadOnlySpan<byte> bytes, ref int at)
    {
        if (at >= bytes.Length)
        {
            return null;
        }

        byte first = bytes[at++];
        int width = first switch { 0xfc => 2, 0xfd => 3, 0xfe => 8, _ => 0 };
        if (first is 0xfb or 0xff || width > bytes.Length - at)
        {
            return null;
        }

        long value = width == 0 ? first : 0;
        for (int i = 0; i < width; i++)
        {
            value |= (long)bytes[at++] << (8 * i);
        }

        return value < 0 ? null : value;
    }

    /// <summary>The text of an error packet: 0xff, a number, perhaps # and a state of five characters, the message.</summary>
    internal static string ErrorText(ReadOnlySpan<byte> packet)
    {
        ReadOnlySpan<byte> text = packet.Length > 3 ? packet[3..] : [];
        text = text.Length >= 6 && text[0] == '#' ? text[6..] : text;
        return TableText.Decode(text[..Math.Min(text.Length, 500)]);
    }

    private static RemoteFailure QueryFailure(ReadOnlySpan<byte> packet) => new(
        $"mysql query failed: {ErrorText(packet)}",
        usable: packet.Length < 3 || !LastWords.Contains(BinaryPrimitives.ReadUInt16LittleEndian(packet[1..])));

    /// <summary>What the server said first.</summary>
    /// <exception cref="RemoteFailure">It is no greeting, or an error.</exception>
    internal static (byte[] Nonce, uint Capabilities, int Status, string Plugin) ParseGreeting(ReadOnlySpan<byte> packet)
    {
        if (packet.Length > 0 && packet[0] == 0xff)
        {
            throw new RemoteFailure(ErrorText(packet));
        }

        int end = packet.Length > 1 && packet[0] == 10 ? packet[1..].IndexOf((byte)0) : -1;
        int at = end + 2;
        if (end < 0 || packet.Length < at + 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 + 12)
        {
            throw new RemoteFailure("this is no MySQL server, or one before 4.1");
        }

        ReadOnlySpan<byte> rest = packet[(at + 4)..];
        uint capabilities = BinaryPrimitives.ReadUInt16LittleEndian(rest[9..]) | ((uint)BinaryPrimitives.ReadUInt16LittleEndian(rest[14..]) << 16);
        int status = BinaryPrimitives.ReadUInt16LittleEndian(rest[12..]);
        byte[] nonce = [.. rest[..8], .. rest.Slice(27, 12)];
        ReadOnlySpan<byte> plugin = rest.Length > 40 ? rest[40..] : [];
        int stop = plugin.IndexOf((byte)0);
        return (nonce, capabilities, status, Encoding.ASCII.GetString(stop < 0 ? plugin : plugin[..stop]));
    }

    private async ValueTask LogInAsync(RemoteEndpoint endpoint, MysqlLogin login, CancellationToken cancellationToken)
    {
        (byte[] nonce, uint offered, _status, string plugin) = ParseGreeting((await ReadAsync(cancellationToken)).Span);
        uint flags = LongPassword | Protocol41 | Transactions | SecureConnection | MultiResults | PluginAuthentication;
        flags |= login.Database.Length > 0 ? ConnectWithDatabase : 0;
        if (login.Tls is not null)
        {
            if ((offered & TlsCapability) == 0)
            {
                throw new RemoteFailure("the server does not offer TLS");
            }

            flags |= TlsCapability;
            await SendAsync(Head(flags), cancellationToken);
            await Stream.StartTlsAsync(login.Tls.For(endpoint.Host), cancellationToken);
            _isPrivate = true;
        }

        plugin = plugin.Length == 0 ? "mysql_native_password" : plugin;
        byte[] proof = plugin is "mysql_native_password" or "caching_sha2_password" ? Proof(plugin, login, nonce) : [];
        byte[] database = login.Database.Length > 0 ? [.. TableText.Encode(login.Database), 0] : [];
        await SendAsync(
            [.. Head(flags), .. TableText.Encode(login.User), 0, (byte)proof.Length, .. proof, .. database, .. Encoding.ASCII.GetBytes(plugin), 0],
            cancellationToken);
        while (true)
        {
            ReadOnlyMemory<byte> packet = await ReadAsync(cancellationToken);
            byte kind = packet.Length == 0 ? (byte)0xff : packet.Span[0];
            switch (kind)
            {
                case 0x00:
                    ReadOk(packet.Span);
                    return;
                case 0xfe when packet.Length > 1:
                    (plugin, nonce) = Switch(packet.Span[1..]);
                    await SendAsync(Proof(plugin, login, nonce), cancellationToken);
                    break;
                case 0x01 when plugin == "caching_sha2_password" && packet.Length == 2 && packet.Span[1] == 3:
                    break;
                case 0x01 when plugin == "caching_sha2_password" && packet.Length == 2 && packet.Span[1] == 4:
                    await SendPasswordAsync(login, nonce, cancellationToken);
                    break;
                case 0xff:
                    throw new RemoteFailure(ErrorText(packet.Span));
                default:
                    throw new RemoteFailure($"the server asks for a way to log in that is not supported ({plugin})");
            }
        }
    }

    private static (string Plugin, byte[] Nonce) Switch(ReadOnlySpan<byte> request)
    {
        int end = request.IndexOf((byte)0);
        ReadOnlySpan<byte> nonce = end < 0 ? [] : request[(end + 1)..].TrimEnd((byte)0);
        return (Encoding.ASCII.GetString(end < 0 ? request : request[..end]), nonce.ToArray());
    }

    private static byte[] Head(uint flags)
    {
        byte[] head = new byte[32];
        BinaryPrimitives.WriteUInt32LittleEndian(head, flags);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(4), MaxPacket);
        head[8] = Utf8Mb4;
        return head;
    }

    private byte[] Proof(string plugin, MysqlLogin login, byte[] nonce)
    {
        byte[] password = Encoding.UTF8.GetBytes(login.Password);
        switch (plugin)
        {
            case "mysql_native_password" or "caching_sha2_password" when password.Length == 0:
                return [];
            case "mysql_native_password":
#pragma warning disable CA5350 // The server's way to log in is the server's choice.
                byte[] once = SHA1.HashData(password);
                return Xor(once, SHA1.HashData([.. nonce, .. SHA1.HashData(once)]));
#pragma warning restore CA5350
            case "caching_sha2_password":
                byte[] hash = SHA256.HashData(password);
                return Xor(hash, SHA256.HashData([.. SHA256.HashData(hash), .. nonce]));
            case "mysql_clear_password" when _isPrivate:
                return [.. password, 0];
            default:
                throw new RemoteFailure($"the server asks for a way to log in that is not supported ({plugin})");
        }
    }

    /// <summary>The password itself: as it is where nobody listens, else under the server's key.</summary>
    private async ValueTask SendPasswordAsync(MysqlLogin login, byte[] nonce, CancellationToken cancellationToken)
    {
        byte[] password = [.. Encoding.UTF8.GetBytes(login.Password), 0];
        if (_isPrivate)
        {
            await SendAsync(password, cancellationToken);
            return;
        }

        await SendAsync([0x02], cancellationToken);
        ReadOnlyMemory<byte> packet = await ReadAsync(cancellationToken);
        for (int i = 0; i < password.Length; i++)
        {
            password[i] ^= nonce[i % nonce.Length];
        }

        try
        {
            using var key = RSA.Create();
            key.ImportFromPem(Encoding.ASCII.GetString(packet.Span[1..]));
            await SendAsync(key.Encrypt(password, RSAEncryptionPadding.OaepSHA1), cancellationToken);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException)
        {
            throw new RemoteFailure("the server's key cannot be used");
        }
    }

    private static byte[] Xor(byte[] one, byte[] other) => [.. one.Zip(other, static (a, b) => (byte)(a ^ b))];

    private async ValueTask<long> ReadRowsAsync(int columns, List<string?> values, long size, Action<long> checkSize, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadOnlyMemory<byte> row = await ReadAsync(cancellationToken);
            if (row.Length is > 0 and < 9 && row.Span[0] == 0xfe)
            {
                _status = row.Length >= 5 ? BinaryPrimitives.ReadUInt16LittleEndian(row.Span[3..]) : 0;
                return size;
            }

            if (row.Length > 0 && row.Span[0] == 0xff)
            {
                throw QueryFailure(row.Span);
            }

            size += row.Length;
            checkSize(size);
            AddRow(row.Span, columns, values);
        }
    }

    private void ReadOk(ReadOnlySpan<byte> packet)
    {
        int at = 1;
        _ = LengthEncoded(packet, ref at);
        _ = LengthEncoded(packet, ref at);
        _status = packet.Length >= at + 2 ? BinaryPrimitives.ReadUInt16LittleEndian(packet[at..]) : 0;
    }

    private ValueTask SendAsync(byte[] content, CancellationToken cancellationToken)
    {
        byte[] packet = new byte[4 + content.Length];
        BinaryPrimitives.WriteInt32LittleEndian(packet, content.Length);
        packet[3] = _sequence++;
        content.CopyTo(packet, 4);
        return Stream.WriteAsync(packet, cancellationToken);
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> head = await Stream.ReadAsync(4, cancellationToken);
        int length = head.Span[0] | (head.Span[1] << 8) | (head.Span[2] << 16);
        _sequence = (byte)(head.Span[3] + 1);
        return length > MaxPacket ? throw new RemoteFailure("malformed packet") : await Stream.ReadAsync(length, cancellationToken);
    }
}
