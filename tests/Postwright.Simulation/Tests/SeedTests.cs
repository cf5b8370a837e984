namespace Postwright.Simulation.Tests;

/// <summary>Two thousand worlds, in which everything that can go wrong does.</summary>
/// <remarks>POSTWRIGHT_SOAK multiplies the number of seeds.</remarks>
public sealed class SeedTests
{
    private static readonly int Soak = int.TryParse(Environment.GetEnvironmentVariable("POSTWRIGHT_SOAK"), out int times) ? times : 1;

    /// <summary>What must have been seen, so that a fault that is never injected cannot hide.</summary>
    private static readonly string[] Expected =
    [
        "kill", "kill at a write", "power cut", "power cut at a write", "stop", "reload", "clock jump", "clock set back", "start refused",
        "disk sync fails", "disk write fails", "disk read fails", "disk open fails", "disk rename fails", "disk unlink fails", "disk fsync fails", "disk full", "slow sync", "bit rot",
        "connection cut", "connection half open", "connection refused", "connect times out", "host unreachable", "SlowNetwork", "dns failure", "Mailboxes",
        "peer DefersGreeting", "peer DefersMail", "peer DefersRecipients", "peer DefersData", "peer DefersMessage", "peer RejectsMessage", "peer DropsAnywhere",
        "peer DropsAfterDot", "peer SilentAfterDot", "peer SlowAfterDot", "peer Mute", "peer Babbles", "peer SaysFarewell", "peer NeverEnds", "client leaves after the dot",
        "flush", "postqueue -p", "postsuper Delete", "postsuper Hold", "postsuper Release", "postsuper Requeue", "postsuper Expire", "postsuper ForceExpire",
        "local submission", "maildrop file back after a power cut",
        "delivered", "bounced", "discarded", "deleted by the administrator", "dropped as an undeliverable notice", "replaced by its expansion", "replaced by its requeued copy",
        "duplicate (a): the client did not see the reply", "duplicate (a): the final dot was sent and its reply was not seen",
        "duplicate (b): a crash between a delivery and its durable result", "duplicate (b): notice repeated after a crash",
        "duplicate (c): refused after a failed sync, and the record survived",
    ];

    [Fact]
    public void Two_thousand_worlds_keep_every_promise_and_see_every_fault()
    {
        List<string> failures = [];
        Dictionary<string, long> counts = [];
        SeedRunner.Run(1, 2000 * Soak, 2, Environment.ProcessorCount, run =>
        {
            foreach ((string name, int count) in run.Counts)
            {
                counts[name] = counts.GetValueOrDefault(name) + count;
            }

            if (run.Failure is { } failure)
            {
                failures.Add($"seed {run.Seed}: {failure.Message}");
            }

            return failures.Count < 20;
        });

        Assert.Empty(failures);
        Assert.Equal("", string.Join(", ", Expected.Where(name => !counts.ContainsKey(name))));
    }
}
