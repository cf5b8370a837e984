using Postwright.Server.Queue;

namespace Postwright.Server.Tests.Queue.Scheduling;

/// <summary>A requeue that something comes between.</summary>
public sealed class RequeueTests
{
    [Fact]
    public async Task A_stop_while_the_new_copy_is_written_leaves_one_copy()
    {
        QueueRig rig = new();
        rig.Transport("smtp").Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = await DeferredAsync(rig);
        TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource disk = new(TaskCreationOptions.RunContinuationsAsynchronously);
        rig.Store.Sync = () =>
        {
            reached.SetResult();
            return disk.Task;
        };
        using CancellationTokenSource command = new();
        Task requeue = rig.Manager.ChangeAsync(id, QueueOperation.Requeue, rig.Log.For("postsuper"), command.Token).AsTask();
        await reached.Task;

        await command.CancelAsync();
        Task stop = rig.StopAsync();
        await Task.WhenAny(stop, Task.Delay(TimeSpan.FromMilliseconds(200), TestContext.Current.CancellationToken));
        disk.SetResult();

        await stop;
        Assert.False(rig.Store.TryGetEntry(id, out _));
        Assert.Equal(1, rig.Store.Count);
        await Task.WhenAny(requeue).WaitAsync(TimeSpan.FromSeconds(90), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Called_off_during_a_delivery_it_leaves_the_message_in_line()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        TaskCompletionSource slow = new(TaskCreationOptions.RunContinuationsAsynchronously);
        smtp.Before = _ => slow.Task;
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = rig.Send("a@test", "late@one.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        using CancellationTokenSource command = new();
        Task requeue = rig.Manager.ChangeAsync(id, QueueOperation.Requeue, rig.Log.For("postsuper"), command.Token).AsTask();
        await command.CancelAsync();
        await Task.WhenAny(requeue);
        slow.SetResult();

        await rig.Eventually(() => smtp.Requests.Count == 2);
        Assert.Equal(id, smtp.Requests[1].Envelope.QueueId);
    }

    [Fact]
    public async Task A_cleanup_that_throws_leaves_the_message_in_line()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = await DeferredAsync(rig);
        rig.Cleanup.Before = Task.FromException(new ObjectDisposedException("tables"));
        try
        {
            Assert.False(await rig.Manager.ChangeAsync(id, QueueOperation.Requeue, rig.Log.For("postsuper"), TestContext.Current.CancellationToken));
        }
        catch (ObjectDisposedException)
        {
            // Whoever asked may see it; what counts is the message.
        }

        await rig.Eventually(() => smtp.Requests.Count == 2);
        Assert.Equal(id, smtp.Requests[1].Envelope.QueueId);
    }

    private static async Task<string> DeferredAsync(QueueRig rig)
    {
        string id = rig.Send("a@test", "late@one.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        return id;
    }
}
