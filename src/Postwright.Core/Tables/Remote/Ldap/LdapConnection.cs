using System.Formats.Asn1;
using System.Globalization;

namespace Postwright.Core.Tables.Remote.Ldap;

/// <summary>An entry that a search found.</summary>
/// <param name="Name">Its distinguished name.</param>
/// <param name="Attributes">Names and values, in the server's order.</param>
internal sealed record LdapEntry(string Name, List<KeyValuePair<string, List<string>>> Attributes);

/// <summary>A search.</summary>
internal sealed record LdapSearch(string Base, int Scope, string Filter, IReadOnlyList<string> Attributes);

/// <summary>What a search came to.</summary>
internal sealed record LdapAnswer(int Code, string Message, List<LdapEntry> Entries);

/// <summary>How to log in to an LDAP server.</summary>
internal sealed record LdapLogin
{
    public required int Version { get; init; }

    /// <summary>Nothing is sent where it is false; a version 3 server then takes the client for anonymous.</summary>
    public required bool Binds { get; init; }

    public string Name { get; init; } = "";

    public string Password { get; init; } = "";

    /// <summary>EXTERNAL or PLAIN, or null for a simple bind.</summary>
    public string? Mechanism { get; init; }

    /// <summary>The identity to act as, for SASL.</summary>
    public string Authorization { get; init; } = "";

    /// <summary>Null where TLS is not asked for.</summary>
    public RemoteTls? Tls { get; init; }

    /// <summary>TLS by the StartTLS operation, where the URL is not ldaps.</summary>
    public bool StartsTls { get; init; }
}

// LDAP (RFC 4511), as far as a lookup needs it: StartTLS, bind, search. A message is a BER sequence: a number, an operation,
// perhaps controls. Messages are read by the runtime's BER reader; one that it cannot read is a failure of the connection.

/// <summary>A connection to an LDAP server that is ready for a search.</summary>
internal sealed class LdapConnection : RemoteConnection
{
    private const int MaxMessage = 1 << 20;
    private const string StartTlsName = "1.3.6.1.4.1.1466.20037";
    private static readonly Asn1Tag BindResponse = new(TagClass.Application, 1, true);
    private static readonly Asn1Tag SearchEntry = new(TagClass.Application, 4, true);
    private static readonly Asn1Tag SearchDone = new(TagClass.Application, 5, true);
    private static readonly Asn1Tag SearchReference = new(TagClass.Application, 19, true);
    private static readonly Asn1Tag ExtendedResponse = new(TagClass.Application, 24, true);

    private int _number;

    private LdapConnection(RemoteStream stream)
        : base(stream)
    {
    }

    /// <summary>Connects, starts TLS where asked, and binds.</summary>
    /// <exception cref="RemoteFailure">It does not work.</exception>
    public static async ValueTask<LdapConnection> ConnectAsync(RemoteEndpoint endpoint, bool isSecure, LdapLogin login, CancellationToken cancellationToken)
    {
        RemoteStream stream = await RemoteStream.ConnectAsync(endpoint, cancellationToken);
        try
        {
            var connection = new LdapConnection(stream);
            RemoteTls tls = login.Tls ?? new RemoteTls();
            if (isSecure)
            {
                await stream.StartTlsAsync(tls.For(endpoint.Host), cancellationToken);
            }
            else if (login.StartsTls)
            {
                await connection.StartTlsAsync(tls, endpoint.Host, cancellationToken);
            }

            if (login.Binds)
            {
                await connection.BindAsync(login, cancellationToken);
            }

            return connection;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Searches.</summary>
    /// <param name="search">What for; the filter must be well formed.</param>
    /// <param name="aliases">When aliases are followed, 0 to 3.</param>
    /// <param name="sizeLimit">Entries at most, 0 for no limit.</param>
    /// <param name="seconds">The time that the server may take.</param>
    /// <param name="sizeSoFar">Bytes of the whole lookup so far, and afterwards.</param>
    /// <param name="cancellationToken">The deadline.</param>
    /// <exception cref="RemoteFailure">The connection fails, or the filter is no filter.</exception>
    public async ValueTask<(LdapAnswer Answer, long Size)> SearchAsync(
        LdapSearch search, int aliases, int sizeLimit, int seconds, long sizeSoFar, CancellationToken cancellationToken)
    {
        await SendAsync(writer => WriteSearch(search, aliases, sizeLimit, seconds, writer), cancellationToken);
        var entries = new List<LdapEntry>();
        while (true)
        {
            byte[] message = await ReceiveAsync(cancellationToken);
            sizeSoFar += message.Length;
            if (sizeSoFar > MaxMessage)
            {
                throw new RemoteFailure($"the answer has more than {MaxMessage} bytes", hostIsWell: true);
            }

            if (ParseSearchMessage(message, _number, entries) is { } answer)
            {
                return (answer, sizeSoFar);
            }
        }
    }

    /// <summary>Reads a message of a search's answer: adds an entry, or gives the end.</summary>
    /// <exception cref="RemoteFailure">It is malformed, or no part of the answer.</exception>
    internal static LdapAnswer? ParseSearchMessage(ReadOnlyMemory<byte> message, int number, List<LdapEntry> entries)
    {
        try
        {
            AsnReader operation = Open(message, number, out Asn1Tag tag);
            if (tag == SearchEntry)
            {
                entries.Add(Entry(operation.ReadSequence(SearchEntry)));
                return null;
            }

            if (tag == SearchReference)
            {
                // Referrals are not followed, as Postfix does by default.
                return null;
            }

            (int code, string text) = Result(operation, SearchDone);
            return new LdapAnswer(code, text, entries);
        }
        catch (AsnContentException)
        {
            throw new RemoteFailure("malformed LDAP message");
        }
    }

    /// <summary>How long a message is, from its first bytes; null when more of them are needed.</summary>
    /// <exception cref="RemoteFailure">It is no message, or a large one.</exception>
    internal static int? MessageLength(ReadOnlySpan<byte> head)
    {
        if (head.Length > 0 && head[0] != 0x30)
        {
            throw new RemoteFailure("malformed LDAP message");
        }

        if (head.Length < 2)
        {
            return null;
        }

        if (head[1] < 0x80)
        {
            return 2 + head[1];
        }

        int width = head[1] & 0x7f;
        if (width is 0 or > 4)
        {
            throw new RemoteFailure("malformed LDAP message");
        }

        if (head.Length < 2 + width)
        {
            return null;
        }

        long length = 0;
        foreach (byte b in head.Slice(2, width))
        {
            length = (length << 8) | b;
        }

        return length <= MaxMessage ? (int)length + 2 + width : throw new RemoteFailure($"the answer has more than {MaxMessage} bytes", hostIsWell: true);
    }

    private static LdapEntry Entry(AsnReader entry)
    {
        string name = TableText.Decode(entry.ReadOctetString());
        var attributes = new List<KeyValuePair<string, List<string>>>();
        AsnReader list = entry.ReadSequence();
        while (list.HasData)
        {
            AsnReader attribute = list.ReadSequence();
            string type = TableText.Decode(attribute.ReadOctetString());
            var values = new List<string>();
            AsnReader set = attribute.ReadSetOf(skipSortOrderValidation: true);
            while (set.HasData)
            {
                values.Add(TableText.Decode(set.ReadOctetString()));
            }

            attributes.Add(KeyValuePair.Create(type, values));
        }

        return new LdapEntry(name, attributes);
    }

    private static void WriteSearch(LdapSearch search, int aliases, int sizeLimit, int seconds, AsnWriter writer)
    {
        using (writer.PushSequence(new Asn1Tag(TagClass.Application, 3)))
        {
            writer.WriteOctetString(TableText.Encode(search.Base));
            WriteEnumerated(writer, search.Scope);
            WriteEnumerated(writer, aliases);
            writer.WriteInteger(sizeLimit);
            writer.WriteInteger(seconds);
            writer.WriteBoolean(false);
            if (!LdapFilter.TryWrite(search.Filter, writer))
            {
                throw new RemoteFailure($"bad search filter: {search.Filter}", hostIsWell: true);
            }

            using (writer.PushSequence())
            {
                foreach (string attribute in search.Attributes)
                {
                    writer.WriteOctetString(TableText.Encode(attribute));
                }
            }
        }
    }

    private async ValueTask StartTlsAsync(RemoteTls tls, string host, CancellationToken cancellationToken)
    {
        await SendAsync(
            static writer =>
            {
                using (writer.PushSequence(new Asn1Tag(TagClass.Application, 23)))
                {
                    writer.WriteOctetString(TableText.Encode(StartTlsName), new Asn1Tag(TagClass.ContextSpecific, 0));
                }
            },
            cancellationToken);
        (int code, string text) = await ResultAsync(ExtendedResponse, cancellationToken);
        if (code != 0)
        {
            throw new RemoteFailure($"Unable to set STARTTLS: {code}: {text}");
        }

        await Stream.StartTlsAsync(tls.For(host), cancellationToken);
    }

    private async ValueTask BindAsync(LdapLogin login, CancellationToken cancellationToken)
    {
        await SendAsync(writer => WriteBind(login, writer), cancellationToken);
        (int code, string text) = await ResultAsync(BindResponse, cancellationToken);
        if (code != 0)
        {
            throw new RemoteFailure(string.Create(CultureInfo.InvariantCulture, $"Unable to bind as {login.Name}: {code} ({text})"));
        }
    }

    private static void WriteBind(LdapLogin login, AsnWriter writer)
    {
        using (writer.PushSequence(new Asn1Tag(TagClass.Application, 0)))
        {
            writer.WriteInteger(login.Version);
            writer.WriteOctetString(TableText.Encode(login.Name));
            if (login.Mechanism is null)
            {
                writer.WriteOctetString(TableText.Encode(login.Password), new Asn1Tag(TagClass.ContextSpecific, 0));
                return;
            }

            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 3)))
            {
                writer.WriteOctetString(TableText.Encode(login.Mechanism));
                writer.WriteOctetString(TableText.Encode(
                    login.Mechanism == "PLAIN" ? $"{login.Authorization}\0{login.Name}\0{login.Password}" : login.Authorization));
            }
        }
    }

    /// <summary>A value below 128; the writer itself takes only enumerations.</summary>
    private static void WriteEnumerated(AsnWriter writer, int value) => writer.WriteEncodedValue([0x0a, 1, (byte)value]);

    private async ValueTask<(int Code, string Text)> ResultAsync(Asn1Tag expected, CancellationToken cancellationToken)
    {
        byte[] message = await ReceiveAsync(cancellationToken);
        try
        {
            return Result(Open(message, _number, out _), expected);
        }
        catch (AsnContentException)
        {
            throw new RemoteFailure("malformed LDAP message");
        }
    }

    /// <summary>Opens a message at its operation.</summary>
    private static AsnReader Open(ReadOnlyMemory<byte> message, int number, out Asn1Tag tag)
    {
        AsnReader content = new AsnReader(message, AsnEncodingRules.BER).ReadSequence();
        if (!content.TryReadInt32(out int actual))
        {
            throw new AsnContentException();
        }

        tag = content.PeekTag();
        if (actual == 0 && tag == ExtendedResponse)
        {
            // Notice of disconnection (RFC 4511, section 4.4.1).
            throw new RemoteFailure($"the server closes the connection: {Result(content, ExtendedResponse).Text}");
        }

        return actual == number ? content : throw new RemoteFailure("LDAP message of another question");
    }

    private static (int Code, string Text) Result(AsnReader operation, Asn1Tag expected)
    {
        AsnReader result = operation.ReadSequence(expected);
        ReadOnlyMemory<byte> code = result.ReadEnumeratedBytes();
        result.ReadOctetString();
        string text = TableText.Decode(result.ReadOctetString());
        int number = 0;
        foreach (byte b in code.Span)
        {
            number = (number << 8) | b;
        }

        string all = text.Length > 0 ? $"{LdapErrors.Text(number)}: {text}" : LdapErrors.Text(number);
        return (number, all.Length > 300 ? all[..300] : all);
    }

    private ValueTask SendAsync(Action<AsnWriter> operation, CancellationToken cancellationToken)
    {
        var writer = new AsnWriter(AsnEncodingRules.BER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(++_number);
            operation(writer);
        }

        return Stream.WriteAsync(writer.Encode(), cancellationToken);
    }

    private async ValueTask<byte[]> ReceiveAsync(CancellationToken cancellationToken)
    {
        byte[] head = new byte[6];
        int count = 0;
        int? length;
        while ((length = MessageLength(head.AsSpan(0, count))) is null)
        {
            head[count++] = (await Stream.ReadAsync(1, cancellationToken)).Span[0];
        }

        byte[] message = new byte[length.Value];
        head.AsSpan(0, count).CopyTo(message);
        (await Stream.ReadAsync(length.Value - count, cancellationToken)).CopyTo(message.AsMemory(count));
        return message;
    }
}

/// <summary>The result codes of RFC 4511 that a lookup can meet, in OpenLDAP's words.</summary>
internal static class LdapErrors
{
    public static string Text(int code) => code switch
    {
        0 => "Success",
        1 => "Operations error",
        2 => "Protocol error",
        3 => "Time limit exceeded",
        4 => "Size limit exceeded",
        7 => "Authentication method not supported",
        8 => "Strong(er) authentication required",
        10 => "Referral",
        11 => "Administrative limit exceeded",
        13 => "Confidentiality required",
        32 => "No such object",
        34 => "Invalid DN syntax",
        48 => "Inappropriate authentication",
        49 => "Invalid credentials",
        50 => "Insufficient access",
        51 => "Server is busy",
        52 => "Server is unavailable",
        53 => "Server is unwilling to perform",
        _ => "error",
    };
}
