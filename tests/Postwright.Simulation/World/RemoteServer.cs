using System.Net;
using System.Text;
using Postwright.Core.Seams;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Ledger;
using Postwright.Simulation.Network;

namespace Postwright.Simulation.World;

/// <summary>How a remote server behaves.</summary>
internal enum PeerMode
{
    Good,
    DefersGreeting,
    DefersMail,
    DefersRecipients,
    DefersData,
    DefersMessage,
    RejectsMessage,
    DropsAnywhere,

    /// <summary>Takes the message and drops the connection instead of its reply.</summary>
    DropsAfterDot,

    /// <summary>Takes the message and never says so.</summary>
    SilentAfterDot,

    /// <summary>Takes the message, and says so after minutes.</summary>
    SlowAfterDot,

    /// <summary>Never greets.</summary>
    Mute,

    /// <summary>Says things that are no SMTP.</summary>
    Babbles,

    /// <summary>Says 421 and closes, at any moment.</summary>
    SaysFarewell,

    /// <summary>Answers in lines without end.</summary>
    NeverEnds,
}

/// <summary>A server elsewhere that takes mail by SMTP or LMTP.</summary>
internal sealed class RemoteServer(SimWorld world, IPAddress address, bool isLmtp, Rng chance, Rng words)
{
    /// <summary>It explains each refusal in as many lines as a client may have to read.</summary>
    private readonly bool _isTalkative = words.Percent(20);

    public IPAddress Address => address;

    /// <summary>How it behaves now.</summary>
    public PeerMode Mode { get; set; }

    public async void Run()
    {
        IListener listener = world.Network.For(world.Context, address).Listen(new IPEndPoint(address, isLmtp ? 24 : 25));
        while (true)
        {
            ServeAsync((SimEnd)await listener.AcceptAsync(CancellationToken.None));
        }
    }

    private async void ServeAsync(SimEnd end)
    {
        try
        {
            await TalkAsync(end);
            await end.DisposeAsync();
        }
        catch (IOException)
        {
            end.Abort();
        }
    }

    private async Task TalkAsync(SimEnd end)
    {
        PeerMode mode = Mode != PeerMode.Good && chance.Percent(75) ? Mode : PeerMode.Good;
        int dropsAfter = mode is PeerMode.DropsAnywhere or PeerMode.SaysFarewell ? chance.Between(0, 7) : int.MaxValue;
        if (mode != PeerMode.Good)
        {
            world.Count($"peer {mode}");
        }

        if (mode == PeerMode.Mute)
        {
            await Task.Delay(TimeSpan.FromMinutes(20), world.Time);
            end.Abort();
            return;
        }

        WireReader reader = new(end);
        await SayAsync(end, mode == PeerMode.DefersGreeting ? "421 4.3.2 later" : mode == PeerMode.Babbles ? "HELLO WHO ARE YOU" : "220 remote ready");
        List<string> recipients = [];
        bool hasMail = false;
        while (await reader.LineAsync() is { } line)
        {
            if (dropsAfter-- <= 0)
            {
                if (mode == PeerMode.SaysFarewell)
                {
                    await SayAsync(end, "421 4.3.2 closing down");
                    await end.DisposeAsync();
                }

                throw new IOException("dropped");
            }

            string verb = line.Split(' ', ':')[0].ToUpperInvariant();
            switch (verb)
            {
                case "EHLO" or "LHLO" or "HELO":
                    if (mode == PeerMode.NeverEnds)
                    {
                        await EndlessAsync(end);
                    }

                    await SayAsync(end, chance.Percent(70) ? "250-remote\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME" : "250 remote");
                    break;
                case "MAIL":
                    hasMail = mode != PeerMode.DefersMail;
                    recipients.Clear();
                    await SayAsync(end, hasMail ? "250 2.1.0 Ok" : "451 4.3.0 not now");
                    break;
                case "RCPT":
                    await RecipientAsync(end, mode, line, hasMail, recipients);
                    break;
                case "DATA":
                    if (recipients.Count == 0 || mode == PeerMode.DefersData)
                    {
                        await SayAsync(end, recipients.Count == 0 ? "503 5.5.1 no recipients" : "451 4.3.0 no data now");
                        break;
                    }

                    await SayAsync(end, "354 go on");
                    if (!await TakeAsync(end, reader, mode, dropsAfter-- <= 0, recipients))
                    {
                        return;
                    }

                    recipients.Clear();
                    hasMail = false;
                    break;
                case "RSET":
                    recipients.Clear();
                    hasMail = false;
                    await SayAsync(end, "250 2.0.0 Ok");
                    break;
                case "QUIT":
                    await SayAsync(end, "221 2.0.0 bye");
                    return;
                default:
                    await SayAsync(end, "502 5.5.2 what?");
                    break;
            }
        }
    }

    private async ValueTask RecipientAsync(SimEnd end, PeerMode mode, string line, bool hasMail, List<string> recipients)
    {
        string recipient = line[(line.IndexOf('<', StringComparison.Ordinal) + 1)..line.IndexOf('>', StringComparison.Ordinal)];
        if (!hasMail)
        {
            await SayAsync(end, "503 5.5.1 MAIL first");
        }
        else if (recipient.StartsWith("bounce.", StringComparison.Ordinal))
        {
            world.Ledger.RefusedForGood(recipient);
            await SayAsync(end, "550 5.1.1 no such user");
        }
        else if (mode == PeerMode.DefersRecipients || (recipient.StartsWith("defer.", StringComparison.Ordinal) && chance.Percent(70)))
        {
            await SayAsync(end, "450 4.2.1 try again");
        }
        else
        {
            recipients.Add(recipient);
            await SayAsync(end, "250 2.1.5 Ok");
        }
    }

    /// <summary>Takes a message; false if the session is over by it.</summary>
    private async ValueTask<bool> TakeAsync(SimEnd end, WireReader reader, PeerMode mode, bool drops, List<string> recipients)
    {
        List<byte> content = [];
        while (true)
        {
            if (await reader.BytesAsync() is not { } line)
            {
                return false;
            }

            if (line.Length == 1 && line.Span[0] == '.')
            {
                break;
            }

            content.AddRange(line.Length > 0 && line.Span[0] == '.' ? line.Span[1..] : line.Span);
            content.AddRange("\r\n"u8);
        }

        if (drops)
        {
            // It has all of the message, and does not take it.
            if (mode == PeerMode.SaysFarewell)
            {
                await SayAsync(end, "421 4.3.2 closing down");
                await end.DisposeAsync();
                return false;
            }

            throw new IOException("dropped");
        }

        if (mode is PeerMode.DefersMessage or PeerMode.RejectsMessage)
        {
            if (mode == PeerMode.RejectsMessage)
            {
                recipients.ForEach(world.Ledger.RefusedForGood);
            }

            foreach (string _ in isLmtp ? recipients : [""])
            {
                await SayAsync(end, mode == PeerMode.DefersMessage ? "451 4.3.0 try again" : "554 5.7.1 not wanted");
            }

            return true;
        }

        // Over LMTP each recipient has a reply of its own; some mailboxes are full, and have room again later.
        bool[] full = [.. recipients.Select(_ => isLmtp && !world.IsCalm && chance.Percent(15))];
        List<Effect?> effects = [.. recipients.Select((recipient, i) => full[i] ? null : world.Ledger.Delivered(content.ToArray(), recipient, address.ToString(), world.LifeOf(end.Peer.Context), end))];
        switch (mode)
        {
            case PeerMode.DropsAfterDot:
                end.Abort();
                return false;
            case PeerMode.SilentAfterDot:
                await Task.Delay(TimeSpan.FromMinutes(20), world.Time);
                end.Abort();
                return false;
            case PeerMode.SlowAfterDot:
                await Task.Delay(TimeSpan.FromSeconds(chance.Between(1, 900)), world.Time);
                break;
        }

        for (int i = 0; i < effects.Count; i++)
        {
            if (isLmtp || i == 0)
            {
                await SayAsync(end, full[i] ? "452 4.2.2 mailbox full" : "250 2.0.0 Ok: taken");
            }

            effects[i]?.ReplyAt(end, end.Sent);
        }

        return true;
    }

    private async ValueTask EndlessAsync(SimEnd end)
    {
        while (true)
        {
            await SayAsync(end, "250-" + new string('x', 200));
            await Task.Delay(TimeSpan.FromMilliseconds(10), world.Time);
        }
    }

    private async ValueTask SayAsync(SimEnd end, string text)
    {
        if (chance.Percent(8))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(chance.Between(1, 3000)), world.Time);
        }

        if (_isTalkative && text[0] is '4' or '5' && words.Percent(80))
        {
            world.Count("peer explains at length");
            text = string.Concat(Enumerable.Repeat($"{text[..3]}-{text[4..]} {new string('y', 1000)}\r\n", words.Percent(80) ? 58 : words.Between(1, 57))) + text;
        }

        await end.SendAsync(Encoding.ASCII.GetBytes(text + "\r\n"), CancellationToken.None);
    }
}
