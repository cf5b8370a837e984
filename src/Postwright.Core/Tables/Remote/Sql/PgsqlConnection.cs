using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables.Remote.Sql;

/// <summary>How to log in to a PostgreSQL server.</summary>
internal sealed record PgsqlLogin(string User, string Password, string Database, string Encoding, PgsqlTls Tls);

/// <summary>libpq's sslmode: whether TLS is asked for, must be there, and what is looked at.</summary>
/// <param name="IsTried">Ask for it.</param>
/// <param name="IsRequired">Go no further without.</param>
/// <param name="Settings">What is looked at.</param>
internal sealed record PgsqlTls(bool IsTried, bool IsRequired, RemoteTls Settings);

// The frontend/backend protocol 3.0 of PostgreSQL, as far as one simple query needs it: log in (SCRAM-SHA-256, MD5, clear
// text), send the text of a query, read rows as text. A message is a kind, a length that counts itself, and content.

/// <summary>A connection to a PostgreSQL server that is ready for a query.</summary>
internal sealed class PgsqlConnection : RemoteConnection
{
    /// <summary>No message of an answer is longer.</summary>
    private const int MaxMessage = 1 << 20;

    private const int ProtocolVersion = 0x30000;
    private const int TlsRequest = 80877103;

    private bool _backslashIsPlain;

    private PgsqlConnection(RemoteStream stream)
        : base(stream)
    {
    }

    /// <summary>Connects and logs in.</summary>
    /// <exception cref="RemoteFailure">It does not work.</exception>
    public static async ValueTask<PgsqlConnection> ConnectAsync(RemoteEndpoint endpoint, PgsqlLogin login, IChance chance, CancellationToken cancellationToken)
    {
        RemoteStream stream = await RemoteStream.ConnectAsync(endpoint, cancellationToken);
        try
        {
            if (login.Tls.IsTried && endpoint.Path is null)
            {
                await StartTlsAsync(stream, endpoint, login.Tls, cancellationToken);
            }

            var connection = new PgsqlConnection(stream);
            await connection.LogInAsync(login, chance, cancellationToken);
            return connection;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Makes text safe between single quotes, as this server reads them.</summary>
    public string Quote(string text)
    {
        string quoted = text.Replace("'", "''", StringComparison.Ordinal);
        return _backslashIsPlain ? quoted : quoted.Replace("\\", @"\\", StringComparison.Ordinal);
    }

    /// <summary>Every field of every row.</summary>
    /// <param name="query">SQL; one statement that gives rows.</param>
    /// <param name="checkSize">Told how much has come so far.</param>
    /// <param name="cancellationToken">The deadline.</param>
    /// <exception cref="RemoteFailure">The server refuses, or says what is no answer.</exception>
    public async ValueTask<List<string?>> QueryAsync(string query, Action<long> checkSize, CancellationToken cancellationToken)
    {
        await SendAsync('Q', [.. TableText.Encode(query), 0], cancellationToken);
        var values = new List<string?>();
        long size = 0;
        string? error = null;
        bool hasRows = false;
        while (true)
        {
            (char kind, ReadOnlyMemory<byte> content) = await ReadAsync(cancellationToken);
            switch (kind)
            {
                case 'T':
                    hasRows = true;
                    break;
                case 'D':
                    size += content.Length;
                    checkSize(size);
                    AddRow(content.Span, values);
                    break;
                case 'E':
                    error = ErrorText(content.Span, out bool isFatal);
                    if (isFatal)
                    {
                        throw new RemoteFailure(error);
                    }

                    break;
                case 'Z':
                    return error is not null ? throw new RemoteFailure($"pgsql query failed: {error}", usable: true)
                        : hasRows ? values : throw new RemoteFailure("pgsql query failed: it gives no rows", usable: true);
                case 'C' or 'I' or 'A':
                    break;
                default:
                    Note(kind, content.Span);
                    break;
            }
        }
    }

    /// <summary>Reads a row: a count of fields, each with a length (-1 for NULL).</summary>
    /// <exception cref="RemoteFailure">It is malformed.</exception>
    internal static void AddRow(ReadOnlySpan<byte> row, List<string?> values)
    {
        if (row.Length < 2)
        {
            throw new RemoteFailure("malformed row");
        }

        int count = BinaryPrimitives.ReadUInt16BigEndian(row);
        row = row[2..];
        for (int i = 0; i < count; i++)
        {
            if (row.Length < 4)
            {
                throw new RemoteFailure("malformed row");
            }

            int length = BinaryPrimitives.ReadInt32BigEndian(row);
            row = row[4..];
            if (length > row.Length || length < -1)
            {
                throw new RemoteFailure("malformed row");
            }

            values.Add(length < 0 ? null : TableText.Decode(row[..length]));
            row = row[Math.Max(length, 0)..];
        }
    }

    /// <summary>The message of an error: fields of a kind and a text each.</summary>
    internal static string ErrorText(ReadOnlySpan<byte> content, out bool isFatal)
    {
        string severity = "";
        string text = "";
        while (content.Length > 1 && content[0] != 0)
        {
            char kind = (char)content[0];
            int end = content.IndexOf((byte)0);
            string value = TableText.Decode(content[1..(end < 0 ? content.Length : end)]);
            severity = kind == 'V' || (kind == 'S' && severity.Length == 0) ? value : severity;
            text = kind == 'M' ? value : text;
            content = end < 0 ? [] : content[(end + 1)..];
        }

        isFatal = severity is "FATAL" or "PANIC";
        return text.Length > 500 ? text[..500] : text;
    }

    private static async ValueTask StartTlsAsync(RemoteStream stream, RemoteEndpoint endpoint, PgsqlTls tls, CancellationToken cancellationToken)
    {
        byte[] request = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(request, 8);
        BinaryPrimitives.WriteInt32BigEndian(request.AsSpan(4), TlsRequest);
        await stream.WriteAsync(request, cancellationToken);
        char answer = (char)(await stream.ReadAsync(1, cancellationToken)).Span[0];
        if (answer == 'S')
        {
            await stream.StartTlsAsync(tls.Settings.For(endpoint.Host), cancellationToken);
        }
        else if (answer != 'N' || tls.IsRequired)
        {
            throw new RemoteFailure("the server does not offer TLS");
        }
    }

    private async ValueTask LogInAsync(PgsqlLogin login, IChance chance, CancellationToken cancellationToken)
    {
        byte[] parameters = TableText.Encode(
            $"user\0{login.User}\0database\0{login.Database}\0client_encoding\0{login.Encoding}\0application_name\0postwright\0\0");
        byte[] start = new byte[8 + parameters.Length];
        BinaryPrimitives.WriteInt32BigEndian(start, start.Length);
        BinaryPrimitives.WriteInt32BigEndian(start.AsSpan(4), ProtocolVersion);
        parameters.CopyTo(start, 8);
        await Stream.WriteAsync(start, cancellationToken);
        ScramClient? scram = null;
        while (true)
        {
            (char kind, ReadOnlyMemory<byte> content) = await ReadAsync(cancellationToken);
            switch (kind)
            {
                case 'Z':
                    return;
                case 'E':
                    throw new RemoteFailure(ErrorText(content.Span, out _));
                case 'R':
                    (char reply, byte[]? answer) = Authenticate(content.Span, login, chance, ref scram);
                    if (answer is not null)
                    {
                        await SendAsync(reply, answer, cancellationToken);
                    }

                    break;
                default:
                    Note(kind, content.Span);
                    break;
            }
        }
    }

    private static (char Kind, byte[]? Content) Authenticate(ReadOnlySpan<byte> request, PgsqlLogin login, IChance chance, ref ScramClient? scram)
    {
        int method = request.Length >= 4 ? BinaryPrimitives.ReadInt32BigEndian(request) : -1;
        ReadOnlySpan<byte> rest = request.Length >= 4 ? request[4..] : [];
        switch (method)
        {
            case 0:
                return ('p', null);
            case 3:
                return ('p', [.. Encoding.UTF8.GetBytes(login.Password), 0]);
            case 5 when rest.Length == 4:
                return ('p', [.. Encoding.ASCII.GetBytes("md5" + Md5([.. Encoding.ASCII.GetBytes(Md5(Encoding.UTF8.GetBytes(login.Password + login.User))), .. rest])), 0]);
            case 10 when Encoding.ASCII.GetString(rest).Split('\0').Contains("SCRAM-SHA-256"):
                scram = new ScramClient("", login.Password, chance);
                byte[] first = Encoding.UTF8.GetBytes(scram.First);
                byte[] length = new byte[4];
                BinaryPrimitives.WriteInt32BigEndian(length, first.Length);
                return ('p', [.. "SCRAM-SHA-256\0"u8, .. length, .. first]);
            case 11 when scram is not null:
                return ('p', Encoding.UTF8.GetBytes(scram.Final(Encoding.UTF8.GetString(rest))));
            case 12 when scram is not null:
                scram.Verify(Encoding.UTF8.GetString(rest));
                return ('p', null);
            default:
                throw new RemoteFailure(string.Create(CultureInfo.InvariantCulture, $"authentication method {method} is not supported"));
        }
    }

#pragma warning disable CA5351 // The server asks for it; pg_hba.conf decides.
    private static string Md5(byte[] bytes) => Convert.ToHexStringLower(MD5.HashData(bytes));
#pragma warning restore CA5351

    private void Note(char kind, ReadOnlySpan<byte> content)
    {
        switch (kind)
        {
            case 'S':
                string[] parameter = Encoding.UTF8.GetString(content).Split('\0');
                if (parameter is ["standard_conforming_strings", var value, ..])
                {
                    _backslashIsPlain = value == "on";
                }
                else if (parameter is ["client_encoding", var encoding, ..] && !SqlCharacterSets.IsSafeForPgsql(encoding))
                {
                    throw new RemoteFailure($"the server reads queries in {encoding}, in which a quote could be a part of a character");
                }

                break;
            case 'K' or 'N':
                break;
            default:
                throw new RemoteFailure($"unexpected message of kind '{(char.IsAsciiLetter(kind) ? kind : '?')}'");
        }
    }

    private ValueTask SendAsync(char kind, ReadOnlySpan<byte> content, CancellationToken cancellationToken)
    {
        byte[] message = new byte[5 + content.Length];
        message[0] = (byte)kind;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + content.Length);
        content.CopyTo(message.AsSpan(5));
        return Stream.WriteAsync(message, cancellationToken);
    }

    private async ValueTask<(char Kind, ReadOnlyMemory<byte> Content)> ReadAsync(CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> head = await Stream.ReadAsync(5, cancellationToken);
        char kind = (char)head.Span[0];
        int length = BinaryPrimitives.ReadInt32BigEndian(head.Span[1..]);
        return length is < 4 or > MaxMessage
            ? throw new RemoteFailure("malformed message")
            : (kind, await Stream.ReadAsync(length - 4, cancellationToken));
    }
}
