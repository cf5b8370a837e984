using System.Net;
using System.Text;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Smtp;
using Postwright.Server.Queue;
using Postwright.Testing;
using Postwright.Testing.Dns;
using Postwright.Testing.Logging;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Deliver.Smtp;

/// <summary>What a stop does to deliveries under way.</summary>
public sealed class StopTests : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _giveUp = new();

    [Theory]
    [InlineData("smtp")]
    [InlineData("lmtp")]
    public async Task The_verdict_on_what_was_sent_is_heard(string protocol)
    {
        RecipientResult result = await StopAfterTheDotAsync(protocol, static server =>
        {
            server.GoOn();
            return Task.CompletedTask;
        });
        Assert.Equal((DeliveryStatus.Sent, "250 2.0.0 Ok: queued as TEST"), (result.Status, result.Reason));
    }

    [Theory]
    [InlineData("smtp")]
    [InlineData("lmtp")]
    public async Task The_wait_for_it_ends_at_the_stops_limit(string protocol)
    {
        RecipientResult result = await StopAfterTheDotAsync(protocol, _ => _giveUp.CancelAsync());
        Assert.Equal((DeliveryStatus.Deferred, "4.3.2"), (result.Status, result.Dsn));
    }

    [Theory]
    [InlineData("220 ", 0)]
    [InlineData("250 2.1.0", 2)]
    [InlineData("354 ", 2)]
    public async Task What_was_not_sent_ends_at_once(string waits, int received)
    {
        await using ScriptedServer server = new(ScriptedServer.OneMessage.Replace(waits, "&\n" + waits, StringComparison.Ordinal));
        await using SmtpTransport transport = NewTransport("smtp");
        Task<IReadOnlyList<RecipientResult>> delivery = DeliverAsync(transport, server);
        await Until.True(() => server.Sessions == 1 && server.Received.Count >= received);
        await _stop.CancelAsync();

        RecipientResult result = Assert.Single(await delivery);
        Assert.Equal((DeliveryStatus.Deferred, "4.3.2"), (result.Status, result.Dsn));
        server.GoOn();
        Assert.DoesNotContain(".", server.Received);
    }

    public void Dispose()
    {
        _stop.Dispose();
        _giveUp.Dispose();
    }

    /// <summary>A stop begins while the server has the message and says nothing; then something else happens.</summary>
    private async Task<RecipientResult> StopAfterTheDotAsync(string protocol, Func<ScriptedServer, Task> then)
    {
        await using ScriptedServer server = new(Script(protocol).Replace("250 2.0.0", "&\n250 2.0.0", StringComparison.Ordinal));
        await using SmtpTransport transport = NewTransport(protocol);
        Task<IReadOnlyList<RecipientResult>> delivery = DeliverAsync(transport, server);
        await Until.True(() => server.Received.Contains("."));
        await _stop.CancelAsync();
        await then(server);
        return Assert.Single(await delivery);
    }

    private static string Script(string protocol) =>
        protocol == "lmtp" ? ScriptedServer.OneMessage.Replace("EHLO", "LHLO", StringComparison.Ordinal) : ScriptedServer.OneMessage;

    private Task<IReadOnlyList<RecipientResult>> DeliverAsync(SmtpTransport transport, ScriptedServer server)
    {
        byte[] content = Encoding.ASCII.GetBytes("Subject: x\r\n\r\nbody\r\n");
        EnvelopeRecipient recipient = new("to@example.net", "to@example.net");
        return transport.DeliverAsync(
            new DeliveryRequest
            {
                Envelope = new Envelope { QueueId = "TEST", Arrival = DateTimeOffset.UnixEpoch, Sender = "from@example.org", Recipients = [recipient], Origin = MessageOrigin.Local, Size = content.Length },
                Content = new MemoryContent(content),
                Transport = "smtp",
                NextHop = $"[127.0.0.1]:{server.Port}",
                Recipients = [new DeliveryRecipient(0, recipient, recipient.Address)],
                Activated = DateTimeOffset.UnixEpoch,
                Started = DateTimeOffset.UnixEpoch,
                GiveUp = _giveUp.Token,
            },
            _stop.Token).AsTask();
    }

    private static SmtpTransport NewTransport(string protocol) => new(
        new SmtpClientOptions { IsLmtp = protocol == "lmtp", HeloName = "client.example", OwnAddresses = new HashSet<IPAddress> { IPAddress.Parse("192.0.2.1") } },
        new SocketNetwork(TimeProvider.System), new FakeDns(), TimeProvider.System, new SystemChance(), new LogLines().For("smtp"));
}
