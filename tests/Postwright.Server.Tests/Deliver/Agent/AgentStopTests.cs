using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Queue;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Deliver.Agent;

/// <summary>What a stop does to deliveries through the agent.</summary>
public sealed class AgentStopTests
{
    [Fact]
    public async Task A_delivery_that_waited_for_a_thread_is_not_begun_after_a_stop()
    {
        using DeliveryWorkers workers = new("mail", 1);
        using ManualResetEventSlim busy = new();
        Task<bool> other = workers.RunAsync(() => busy.Wait(TimeSpan.FromMinutes(1)), CancellationToken.None).AsTask();
        int connections = 0;
        using AgentClient client = new(
            () =>
            {
                connections++;
                throw new IOException("connect to private/agent: Connection refused");
            },
            workers,
            new LogLines().For("master"));
        using CancellationTokenSource stop = new();
        EnvelopeRecipient recipient = new("to@here.test", "to@here.test");
        Task<IReadOnlyList<RecipientResult>> delivery = client.DeliverAsync(
            new DeliveryRequest
            {
                Envelope = new Envelope { QueueId = "TEST", Arrival = DateTimeOffset.UnixEpoch, Sender = "", Recipients = [recipient], Origin = MessageOrigin.Local, Size = 3 },
                Content = new MemoryContent("x\r\n"u8.ToArray()),
                Transport = "local",
                NextHop = "here.test",
                Recipients = [new DeliveryRecipient(0, recipient, recipient.Address)],
                Activated = DateTimeOffset.UnixEpoch,
                Started = DateTimeOffset.UnixEpoch,
            },
            stop.Token).AsTask();

        await stop.CancelAsync();
        busy.Set();

        Assert.True(await other);
        RecipientResult result = Assert.Single(await delivery);
        Assert.Equal((DeliveryStatus.Deferred, "4.3.2"), (result.Status, result.Dsn));
        Assert.Equal(0, connections);
    }
}
