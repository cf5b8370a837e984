using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Tests.Queue.Scheduling;

public sealed class FairnessTests
{
    [Fact]
    public async Task A_slow_destination_does_not_delay_another()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = request => request.NextHop == "slow.test" ? gate.Task : Task.CompletedTask;
        rig.Start();
        for (int i = 0; i < 100; i++)
        {
            rig.Send("a@test", $"u{i}@slow.test");
        }

        string fast = rig.Send("a@test", "b@fast.test");

        await rig.Logged($"{fast}: removed");
        await rig.Eventually(() => smtp.Requests.Count(request => request.NextHop == "slow.test") >= 5);
        Assert.Equal(5, smtp.Requests.Count(request => request.NextHop == "slow.test"));
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.True(smtp.MostRunning <= 21);
    }

    [Fact]
    public async Task A_slow_destination_does_not_fill_the_active_queue()
    {
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 20 });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = request => request.NextHop == "slow.test" ? gate.Task : Task.CompletedTask;
        rig.Start();
        for (int i = 0; i < 200; i++)
        {
            rig.Send("a@test", $"u{i}@slow.test");
        }

        string fast = rig.Send("a@test", "b@fast.test");

        await rig.Logged($"{fast}: removed");
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
    }

    [Fact]
    public async Task What_waits_outside_the_active_queue_is_not_read_over_and_over()
    {
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 100 });
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = async _ => await Task.Yield();
        rig.Start();
        for (int i = 0; i < 2000; i++)
        {
            rig.Send("a@test", $"u{i}@slow.test");
        }

        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Equal(2000, smtp.Requests.Count);
        Assert.InRange(rig.Store.Loads, 2000, 8000);
    }

    [Fact]
    public async Task A_small_active_queue_is_filled_again_as_it_empties()
    {
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 3 });
        rig.Immediate("smtp", new DiscardTransport());
        for (int i = 0; i < 100; i++)
        {
            rig.Keep("a@test", $"u@d{i}.test");
        }

        List<QueueChange> changes = [];
        for (int i = 0; i < 100; i++)
        {
            changes.Add(new MessageDeferred(rig.Keep("a@test", $"u@e{i}.test"), rig.Time.GetUtcNow(), []));
        }

        await rig.Store.RecordAsync(changes);
        rig.Start();
        await rig.Eventually(() => rig.Store.Count == 0);
    }

    [Fact]
    public async Task Deferred_mail_does_not_shut_new_mail_out()
    {
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 10 });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = request => request.NextHop.StartsWith("slow", StringComparison.Ordinal) ? gate.Task : Task.CompletedTask;
        List<QueueChange> changes = [];
        for (int i = 0; i < 50; i++)
        {
            changes.Add(new MessageDeferred(rig.Keep("a@test", $"u@slow{i}.test"), rig.Time.GetUtcNow(), []));
        }

        await rig.Store.RecordAsync(changes);
        rig.Start();
        string fast = rig.Send("a@test", "b@fast.test");

        await rig.Logged($"{fast}: removed");
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
    }

    [Fact]
    public async Task A_mailing_list_does_not_stand_in_the_way_of_the_letter_behind_it()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { ProcessLimit = 1 });
        smtp.Before = _ => smtp.Requests.Count == 1 ? gate.Task : Task.CompletedTask;
        rig.Start();
        string list = rig.Send("a@test", [.. Enumerable.Range(0, 300).Select(i => $"u@d{i}.test")]);
        await rig.Eventually(() => smtp.Requests.Count == 1);

        string letter = rig.Send("a@test", "b@letter.test");

        await rig.Logged($"{letter}: from=<a@test>");
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
        int place = smtp.Requests.Select(request => request.Envelope.QueueId).ToList().IndexOf(letter);
        Assert.InRange(place, 1, 3);
        Assert.Equal(300, smtp.Requests.Count(request => request.Envelope.QueueId == list));
    }

    [Fact]
    public async Task Recipients_of_one_destination_travel_together_up_to_the_limit()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        rig.Start();
        rig.Send("a@test", [.. Enumerable.Range(0, 120).Select(i => $"u{i}@one.test")]);
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Equal([20, 50, 50], smtp.Requests.Select(request => request.Recipients.Count).Order());
    }

    [Fact]
    public async Task With_one_recipient_a_delivery_each_recipient_is_a_destination()
    {
        await using QueueRig rig = new(new QueueManagerOptions { RecipientDelimiter = "+" });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { RecipientLimit = 1, ConcurrencyLimit = 2 });
        smtp.Before = _ => gate.Task;
        rig.Start();
        for (int i = 0; i < 6; i++)
        {
            rig.Send("a@test", i % 2 == 0 ? "joe@one.test" : $"joe+x{i}@one.test");
        }

        string other = rig.Send("a@test", "jane@one.test");

        await rig.Eventually(() => smtp.Requests.Any(request => request.Envelope.QueueId == other));
        Assert.Equal(3, smtp.Requests.Count);
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
    }

    [Fact]
    public async Task A_transport_runs_no_more_deliveries_than_its_process_limit()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { ProcessLimit = 3 });
        smtp.Before = async _ => await Task.Yield();
        rig.Start();
        for (int i = 0; i < 200; i++)
        {
            rig.Send("a@test", $"u@d{i % 20}.test");
        }

        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.InRange(smtp.MostRunning, 1, 3);
        Assert.Equal(200, smtp.Requests.Count);
    }

    [Fact]
    public async Task A_dead_destination_costs_no_further_attempts_until_its_time_is_over()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { InitialConcurrency = 1 });
        bool isUp = false;
        smtp.Before = _ => gate.Task;
        smtp.Answer = (_, recipient) => Volatile.Read(ref isUp)
            ? new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "mx.test[192.0.2.1]:25")
            : ScriptedAgent.Deferred(recipient.Index, site: true);
        rig.Start();
        string first = rig.Send("a@test", "a@down.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        string second = rig.Send("a@test", "b@down.test");
        await rig.Logged($"{second}: from=<a@test>");

        gate.SetResult();
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Count() == 2);
        string third = rig.Send("a@test", "c@DOWN.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Count() == 3);

        Assert.Single(smtp.Requests);
        foreach (string id in new[] { second, third })
        {
            Assert.Contains(rig.Log.All, line => line.StartsWith($"postfix/error: {id}: to=<")
                && line.Contains("relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (delivery temporarily suspended: connect to mx.test[192.0.2.1]:25: Connection refused)"));
        }

        Volatile.Write(ref isUp, true);
        await rig.Eventually(TimeSpan.FromSeconds(60), () => rig.Store.Count == 0);
        Assert.Contains(smtp.Requests, request => request.Envelope.QueueId == first);
        Assert.Equal(4, smtp.Requests.Count);
    }

    [Fact]
    public async Task A_rate_delay_spaces_deliveries_to_one_destination()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { ConcurrencyLimit = 1, InitialConcurrency = 1, DestinationRateDelay = TimeSpan.FromSeconds(10) });
        rig.Start();
        for (int i = 0; i < 3; i++)
        {
            rig.Send("a@test", $"u{i}@paced.test");
        }

        rig.Send("a@test", "u@other.test");
        await rig.Eventually(() => rig.Store.Count == 2);
        await rig.Eventually(TimeSpan.FromSeconds(1), () => rig.Store.Count == 0);
        DateTimeOffset[] starts = [.. smtp.Requests.Where(request => request.NextHop == "paced.test").Select(request => request.Started)];
        Assert.True(starts[1] - starts[0] >= TimeSpan.FromSeconds(10));
        Assert.True(starts[2] - starts[1] >= TimeSpan.FromSeconds(10));
    }
}
