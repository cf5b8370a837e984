using Postwright.Core.Configuration;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Queue.Scheduling;

public sealed class DestinationTests
{
    private static readonly TimeSpan Now = TimeSpan.FromHours(12);

    [Fact]
    public void Success_widens_the_window_by_one_a_cohort_with_feedback_per_concurrency()
    {
        Destination destination = New(new TransportLimits { PositiveFeedback = Feedback("1/concurrency") });
        for (int i = 0; i < 5; i++)
        {
            destination.Busy = 5;
            destination.Succeeded();
        }

        Assert.Equal(6, destination.Window);
    }

    [Fact]
    public void Success_widens_the_window_by_one_each_up_to_the_limit()
    {
        Destination destination = New(new TransportLimits());
        for (int i = 0; i < 100; i++)
        {
            destination.Busy = destination.Window;
            destination.Succeeded();
        }

        Assert.Equal(20, destination.Window);
    }

    [Fact]
    public void An_idle_destination_does_not_widen()
    {
        Destination destination = New(new TransportLimits());
        destination.Succeeded();
        Assert.Equal(5, destination.Window);
    }

    [Fact]
    public void Failure_narrows_the_window_and_a_failed_cohort_kills()
    {
        Destination destination = New(new TransportLimits { FailedCohortLimit = 1 });
        Assert.False(destination.Failed("4.4.1", "down", Now));
        Assert.Equal(4, destination.Window);
        Assert.False(destination.Failed("4.4.1", "down", Now));
        Assert.Equal(3, destination.Window);
        bool dead = false;
        for (int i = 0; i < 10 && !dead; i++)
        {
            dead = destination.Failed("4.4.1", "down", Now);
        }

        Assert.True(dead);
        Assert.False(destination.IsOpen(Now));
        destination.Revive();
        Assert.Equal(5, destination.Window);
    }

    [Fact]
    public void With_a_cohort_limit_of_zero_no_destination_dies()
    {
        Destination destination = New(new TransportLimits { FailedCohortLimit = 0 });
        for (int i = 0; i < 100; i++)
        {
            Assert.False(destination.Failed("4.4.1", "down", Now));
        }

        Assert.Equal(1, destination.Window);
    }

    [Theory]
    [InlineData("1", true)]
    [InlineData("1/5", true)]
    [InlineData("0.5/sqrt_concurrency", true)]
    [InlineData("2", false)]
    [InlineData("1/0", false)]
    [InlineData("1/half", false)]
    [InlineData("x", false)]
    public void Feedback_is_read_in_four_forms(string text, bool valid) => Assert.Equal(valid, ConcurrencyFeedback.TryParse(text, out _));

    [Fact]
    public void Each_transport_has_settings_of_its_own()
    {
        MailConfiguration configuration = MailConfiguration.FromText("""
            slow_destination_concurrency_limit = 2
            slow_destination_recipient_limit = 7
            slow_initial_destination_concurrency = 3
            slow_destination_concurrency_positive_feedback = 1/concurrency
            paced_destination_rate_delay = 5s
            default_process_limit = 33

            """);
        TransportLimits slow = TransportLimits.From(configuration, "slow", null);
        Assert.Equal((2, 7, 3, 33, 0.25), (slow.ConcurrencyLimit, slow.RecipientLimit, slow.InitialConcurrency, slow.ProcessLimit, slow.PositiveFeedback.At(4)));
        TransportLimits paced = TransportLimits.From(configuration, "paced", 4);
        Assert.Equal((1, TimeSpan.FromSeconds(5), 4), (paced.ConcurrencyLimit, paced.DestinationRateDelay, paced.ProcessLimit));
        Assert.Equal((2, 1), (TransportLimits.From(configuration, "local", null).ConcurrencyLimit, TransportLimits.From(configuration, "local", null).RecipientLimit));
    }

    [Theory]
    [InlineData(10, 300)]
    [InlineData(1000, 1000)]
    [InlineData(9000, 4000)]
    public void The_pause_is_the_age_within_limits(int age, int pause) => Assert.Equal(
        TimeSpan.FromSeconds(pause), BackOff.Delay(TimeSpan.FromSeconds(age), TimeSpan.FromSeconds(300), TimeSpan.FromSeconds(4000)));

    [Fact]
    public void A_million_waiting_messages_cost_a_reference_and_a_time_each()
    {
        const int Count = 1_000_000;
        DateTimeOffset now = DateTimeOffset.UnixEpoch;
        DueTimes times = new();
        long before = GC.GetAllocatedBytesForCurrentThread();
        times.Reserve(Count);
        for (int i = 0; i < Count; i++)
        {
            times.Add("ID", now + TimeSpan.FromSeconds(i * 7919L % Count));
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 24L * Count);
        Assert.False(times.TryTake(now - TimeSpan.FromSeconds(1), out _));
        Assert.True(times.TryTake(now, out _));
        Assert.False(times.TryTake(now, out _));
    }

    private static ConcurrencyFeedback Feedback(string text)
    {
        Assert.True(ConcurrencyFeedback.TryParse(text, out ConcurrencyFeedback feedback));
        return feedback;
    }

    private static Destination New(TransportLimits limits) =>
        new TransportQueue("smtp", new TransportService(new ScriptedAgent(), limits, new LogLines().For("smtp"))).Destination("x.test", "x.test");
}
