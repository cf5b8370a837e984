using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>What a server announced in its EHLO reply.</summary>
[Flags]
internal enum ServerFeatures
{
    None = 0,
    Pipelining = 1,
    Size = 2,
    EightBitMime = 4,
    Dsn = 8,
    SmtpUtf8 = 16,
}

/// <summary>Why a server could not be used at all: it counts against the destination.</summary>
/// <param name="Dsn">Status code.</param>
/// <param name="Reason">As logged.</param>
/// <param name="Connected">It greeted us, if only to refuse: it counts against smtp_mx_session_limit.</param>
internal sealed record SessionFailure(string Dsn, string Reason, bool Connected)
{
    public string? RemoteMta { get; init; }

    public string? Diagnostic { get; init; }

    /// <summary>The refusal is final (a 5xx greeting with smtp_skip_5xx_greeting = no, a 5xx to HELO).</summary>
    public bool IsPermanent { get; init; }
}

/// <summary>
/// A connection to one exchanger past greeting and EHLO, ready for MAIL. Owns its conversation; used by one delivery at a time.
/// </summary>
internal sealed class SmtpSession : IAsyncDisposable
{
    private readonly SmtpClientOptions _options;

    private SmtpSession(SmtpClientOptions options, MailExchanger exchanger, SmtpConversation conversation, long opened)
    {
        _options = options;
        Exchanger = exchanger;
        Conversation = conversation;
        Opened = opened;
    }

    public MailExchanger Exchanger { get; }

    public SmtpConversation Conversation { get; }

    /// <summary>The time provider's timestamp of the connection.</summary>
    public long Opened { get; }

    public ServerFeatures Features { get; private set; }

    /// <summary>The server's SIZE; 0 if it gave none.</summary>
    public long SizeLimit { get; private set; }

    /// <summary>Deliveries so far, the running one included (conn_use=).</summary>
    public int Uses { get; set; }

    /// <summary>A transaction was begun and not ended: RSET must come before the next MAIL.</summary>
    public bool NeedsReset { get; set; }

    /// <summary>Commands are put together here.</summary>
    public ArrayBufferWriter<byte> Commands { get; } = new(512);

    /// <summary>Connects, takes the greeting, says EHLO (HELO where that is refused, LHLO for lmtp).</summary>
    public static async ValueTask<(SmtpSession? Session, SessionFailure? Failure)> OpenAsync(
        SmtpClientOptions options, MailExchanger exchanger, INetwork network, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        long opened = timeProvider.GetTimestamp();
        (IConnection? connection, string? error) = await ConnectAsync(options, exchanger, network, timeProvider, cancellationToken);
        if (connection is null)
        {
            return (null, new SessionFailure("4.4.1", $"connect to {exchanger.Name}: {error}", false));
        }

        SmtpSession session = new(options, exchanger, new SmtpConversation(connection, timeProvider), opened);
        SessionFailure? failure;
        try
        {
            failure = await session.GreetAsync(cancellationToken);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }

        if (failure is not null)
        {
            await session.QuitAsync(cancellationToken);
            return (null, failure);
        }

        return (session, null);
    }

    /// <summary>Ends the session politely if it still can be, then closes.</summary>
    public async ValueTask QuitAsync(CancellationToken cancellationToken)
    {
        if (!Conversation.IsBroken)
        {
            try
            {
                ConversationStatus sent = await Conversation.SendAsync("QUIT\r\n"u8.ToArray(), _options.QuitTimeout, cancellationToken);
                if (sent == ConversationStatus.Answered && !_options.SkipQuitResponse)
                {
                    await Conversation.ReadReplyAsync(_options.QuitTimeout, cancellationToken);
                }
            }
            catch (OperationCanceledException)
            {
                // Shutting down: the close itself is farewell enough.
            }
        }

        await DisposeAsync();
    }

    public ValueTask DisposeAsync() => Conversation.DisposeAsync();

    /// <summary>The words for a conversation that ended without an answer.</summary>
    public SessionFailure Broken(ConversationStatus status, string stage, bool connected = true) => status switch
    {
        ConversationStatus.TimedOut => new SessionFailure("4.4.2", $"conversation with {Exchanger.NameWithoutPort} timed out while {stage}", connected),
        ConversationStatus.Malformed => new SessionFailure("4.5.0", $"host {Exchanger.NameWithoutPort} sent a malformed reply while {stage}", connected),
        _ => new SessionFailure("4.4.2", $"lost connection with {Exchanger.NameWithoutPort} while {stage}", connected),
    };

    private static async ValueTask<(IConnection?, string?)> ConnectAsync(
        SmtpClientOptions options, MailExchanger exchanger, INetwork network, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        IPAddress? bind = exchanger.EndPoint.AddressFamily switch
        {
            AddressFamily.InterNetwork => options.BindAddress,
            AddressFamily.InterNetworkV6 => options.BindAddress6,
            _ => null,
        };
        TimeSpan limit = options.ConnectTimeout == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : options.ConnectTimeout;
        using CancellationTokenSource deadline = new(limit, timeProvider);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return (await network.ConnectAsync(exchanger.EndPoint, bind, both.Token), null);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, "Connection timed out");
        }
        catch (SocketException failure)
        {
            return (null, DescribeConnectFailure(failure));
        }
        catch (IOException)
        {
            return (null, "Connection reset by peer");
        }
    }

    /// <summary>The C library's words, as Postfix's log has them.</summary>
    private static string DescribeConnectFailure(SocketException failure) => failure.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "Connection refused",
        SocketError.TimedOut => "Connection timed out",
        SocketError.HostUnreachable or SocketError.HostDown => "No route to host",
        SocketError.NetworkUnreachable or SocketError.NetworkDown => "Network is unreachable",
        SocketError.ConnectionReset => "Connection reset by peer",
        SocketError.AccessDenied => "Permission denied",
        SocketError.AddressNotAvailable => "Cannot assign requested address",
        SocketError.TooManyOpenSockets => "Too many open files",
        _ => System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(failure.NativeErrorCode),
    };

    private async ValueTask<SessionFailure?> GreetAsync(CancellationToken cancellationToken)
    {
        ServerReply greeting = await Conversation.ReadReplyAsync(_options.HeloTimeout, cancellationToken);
        if (greeting.Status != ConversationStatus.Answered)
        {
            return Broken(greeting.Status, "receiving the initial server greeting");
        }

        if (!greeting.IsPositive)
        {
            return Refused(greeting, permanent: greeting.IsPermanent && !_options.Skip5xxGreeting);
        }

        bool extended = _options.IsLmtp || _options.AlwaysSendEhlo || greeting.Text.Contains("ESMTP", StringComparison.Ordinal);
        if (extended && !_options.NeverSendEhlo)
        {
            string verb = _options.IsLmtp ? "LHLO" : "EHLO";
            ServerReply reply = await AskAsync($"{verb} {_options.HeloName}\r\n", cancellationToken);
            if (reply.Status != ConversationStatus.Answered)
            {
                return Broken(reply.Status, $"performing the {verb} handshake");
            }

            if (reply.IsPositive)
            {
                ReadFeatures(reply.Text);
                return null;
            }

            // A server that says goodbye means it; only "unknown command" is worth a HELO.
            if (_options.IsLmtp || reply.Code == 421)
            {
                return Refused(reply, permanent: false);
            }
        }

        ServerReply helo = await AskAsync($"HELO {_options.HeloName}\r\n", cancellationToken);
        return helo.Status != ConversationStatus.Answered ? Broken(helo.Status, "performing the HELO handshake")
            : helo.IsPositive ? null
            : Refused(helo, permanent: helo.IsPermanent);
    }

    private SessionFailure Refused(ServerReply reply, bool permanent)
    {
        string dsn = reply.Dsn;
        return new SessionFailure(permanent ? dsn : "4" + dsn[1..], $"host {Exchanger.NameWithoutPort} refused to talk to me: {reply.Quoted}", true)
        {
            RemoteMta = Exchanger.Host,
            Diagnostic = $"smtp; {reply.Quoted}",
            IsPermanent = permanent,
        };
    }

    private async ValueTask<ServerReply> AskAsync(string command, CancellationToken cancellationToken)
    {
        ConversationStatus sent = await Conversation.SendAsync(Encoding.UTF8.GetBytes(command), _options.HeloTimeout, cancellationToken);
        return sent == ConversationStatus.Answered
            ? await Conversation.ReadReplyAsync(_options.HeloTimeout, cancellationToken)
            : new ServerReply(sent, 0, "");
    }

    private void ReadFeatures(string reply)
    {
        foreach (string line in reply.Split('\n').Skip(1))
        {
            if (line.Length <= 4)
            {
                continue;
            }

            string[] words = line[4..].ToUpperInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0 || _options.DiscardedKeywords.Contains(words[0]))
            {
                continue;
            }

            switch (words[0])
            {
                case "PIPELINING": Features |= ServerFeatures.Pipelining; break;
                case "8BITMIME": Features |= ServerFeatures.EightBitMime; break;
                case "DSN": Features |= ServerFeatures.Dsn; break;
                case "SMTPUTF8": Features |= ServerFeatures.SmtpUtf8; break;
                case "SIZE":
                    Features |= ServerFeatures.Size;
                    SizeLimit = words.Length > 1 && long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out long size) ? size : 0;
                    break;
            }
        }
    }
}
