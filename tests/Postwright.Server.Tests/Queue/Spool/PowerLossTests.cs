using Postwright.Testing.Disk;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>Power cuts at every point of a recorded history of writes and syncs, with what was not synced lost or torn at random.</summary>
/// <remarks>POSTWRIGHT_SOAK multiplies the number of seeds.</remarks>
public sealed class PowerLossTests
{
    private static readonly int Soak = int.TryParse(Environment.GetEnvironmentVariable("POSTWRIGHT_SOAK"), out int times) ? times : 1;

    [Theory]
    [InlineData(0, 20)]
    [InlineData(10_000, 20)]
    public void Every_acknowledged_message_survives_a_cut_at_every_event(int firstSeed, int seeds)
    {
        int cuts = 0;
        for (int seed = firstSeed; seed < firstSeed + (seeds * Soak); seed++)
        {
            Named(seed, () =>
            {
                var world = new SpoolWorld(seed, faulty: false);
                world.Run(120);
                cuts += world.CheckEveryPrefix(1);
            });
        }

        Assert.True(cuts > seeds * 50, $"only {cuts} cuts were made");
    }

    [Theory]
    [InlineData(100_000, 40)]
    [InlineData(200_000, 40)]
    [InlineData(200_226, 1)]
    public void Nothing_is_lost_when_disk_calls_fail_before_the_cut(int firstSeed, int seeds)
    {
        for (int seed = firstSeed; seed < firstSeed + (seeds * Soak); seed++)
        {
            Named(seed, () =>
            {
                var world = new SpoolWorld(seed, faulty: true);
                world.Run(200);
                world.CheckEveryPrefix(3);
                world.Settle();
                world.CheckEveryPrefix(1000);
            });
        }
    }

    [Theory]
    [InlineData(300_000, 30, false)]
    [InlineData(400_000, 30, true)]
    public void Nothing_is_lost_over_several_power_cuts_in_a_row(int firstSeed, int seeds, bool faulty)
    {
        for (int seed = firstSeed; seed < firstSeed + (seeds * Soak); seed++)
        {
            Named(seed, () =>
            {
                var world = new SpoolWorld(seed, faulty);
                for (int life = 0; life < 5; life++)
                {
                    world.Run(80);
                    world.CutPower();
                }

                world.Run(60);
                world.CheckEveryPrefix(3);
            });
        }
    }

    [Fact]
    public void What_a_killed_process_left_unsynced_is_synced_before_it_counts()
    {
        for (int seed = 500_000; seed < 500_000 + (30 * Soak); seed++)
        {
            Named(seed, () =>
            {
                var world = new SpoolWorld(seed, faulty: false);
                for (int life = 0; life < 4; life++)
                {
                    world.Run(60);
                    world.Kill();
                }

                world.Run(60);
                world.CutPower();
                world.Run(20);
                world.CheckEveryPrefix(3);
            });
        }
    }

    [Theory]
    [InlineData(600_000, 12, false)]
    [InlineData(700_000, 12, true)]
    public void Nothing_is_lost_or_comes_back_while_segments_are_emptied_and_recycled(int firstSeed, int seeds, bool faulty)
    {
        int passes = 0;
        int recycled = 0;
        for (int seed = firstSeed; seed < firstSeed + (seeds * Soak); seed++)
        {
            Named(seed, () =>
            {
                var world = new SpoolWorld(seed, faulty) { CompactOften = true };
                for (int life = 0; life < 3; life++)
                {
                    world.Run(300);
                    world.CutPower();
                }

                world.Run(300);
                world.Close();
                world.CheckCounts();
                world.Run(300);
                world.CheckEveryPrefix(7);
                world.Settle();
                world.CheckCounts();
                passes += world.Passes;
                recycled += world.Disk.History.Count(static e => e.Kind is DiskEventKind.Rename && e.OldName.EndsWith(".log", StringComparison.Ordinal));
            });
        }

        Assert.True(passes > seeds && recycled > seeds, $"{passes} passes, {recycled} segments recycled");
    }

    private static void Named(int seed, Action run)
    {
        try
        {
            run();
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"seed {seed}", failure);
        }
    }
}
