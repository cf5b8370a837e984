using System.Globalization;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.World;

/// <summary>Makes a plan out of a seed.</summary>
internal static class PlanMaker
{
    /// <summary>Local parts begin with what will become of them; the world's mailboxes and servers read that.</summary>
    private static readonly string[] LocalNames = ["ok", "ok", "ok", "ok", "defer", "bounce", "list", "outlist", "slow"];
    private static readonly string[] Domains = ["local.example", "local.example", "local.example", "virtual.example", "remote1.example", "remote1.example", "remote2.example", "remote3.example", "lmtp.example", "discard.example", "error.example", "nowhere.example"];

    /// <summary>One world of so many has a small disk.</summary>
    private const ulong SmallDiskEvery = 8;

    /// <summary>Room on a small disk for so many segments (1 MiB), of which new mail leaves about 15: what somebody else keeps there takes the rest.</summary>
    private static readonly int[] SmallDisks = [18, 22, 32, 64];

    public static Plan Make(ulong seed, TimeSpan load)
    {
        Rng chance = Rng.Of(seed, 2);
        List<PlanItem> items = [];
        TimeSpan length = TimeSpan.FromTicks(chance.Between(load.Ticks / 8, load.Ticks));
        AddMessages(items, chance, Rng.Of(seed, 8), length);
        AddTroubles(items, chance, length);
        AddCommands(items, chance, length);
        var plan = new Plan(seed, chance.Next(SimConfiguration.Variants), length, items);
        return seed % SmallDiskEvery == 0 ? WithSmallDisk(plan, items) : plan;
    }

    /// <summary>A small disk fails many of its syncs for most of the time: what each of them costs must be given back.</summary>
    private static Plan WithSmallDisk(Plan plan, List<PlanItem> items)
    {
        Rng chance = Rng.Of(plan.Seed, 8);
        for (TimeSpan at = When(chance, plan.Length / 4); at < plan.Length;)
        {
            TimeSpan lasts = When(chance, plan.Length);
            items.Add(new PlanItem(items.Count, PlanKind.SyncsFail, at, lasts, chance.Pick([30, 50, 70, 90])));
            at += lasts;
        }

        return plan with { DiskBytes = (long)chance.Pick(SmallDisks) << 20 };
    }

    private static void AddMessages(List<PlanItem> items, Rng chance, Rng crowds, TimeSpan length)
    {
        int messages = chance.Between(4, 24);
        int session = 0;
        TimeSpan at = TimeSpan.Zero;
        for (int number = 1; number <= messages; number++)
        {
            if (number == 1 || chance.Percent(60))
            {
                session++;
                at = When(chance, length);
            }

            List<string> recipients = [];
            for (int i = chance.Percent(70) ? 1 : chance.Between(2, 6); i > 0; i--)
            {
                string domain = chance.Pick(Domains);
                string name = domain is "local.example" or "virtual.example" ? chance.Pick(LocalNames)
                    : chance.Percent(15) ? "bounce" : chance.Percent(10) ? "defer" : "ok";
                recipients.Add(string.Create(CultureInfo.InvariantCulture, $"{name}.m{number}r{i}@{domain}"));
            }

            if (crowds.Percent(2))
            {
                // So many that wait at one place that what is kept of each counts.
                string domain = crowds.Pick(["remote1.example", "remote2.example", "remote3.example", "lmtp.example"]);
                recipients = [.. Enumerable.Range(1, crowds.Between(25, 50)).Select(i => string.Create(CultureInfo.InvariantCulture, $"defer.m{number}r{i}@{domain}"))];
            }

            string sender = chance.Next(12) switch
            {
                0 => "",
                1 => Name("bounce", number, "local.example"),
                2 => Name("defer", number, "remote3.example"),
                3 => Name("bounce", number, "remote1.example"),
                < 7 => Name("ok", number, "remote2.example"),
                _ => Name("ok", number, "local.example"),
            };
            int size = chance.Next(10) switch { 0 => chance.Between(20_000, 60_000), 1 or 2 => chance.Between(2000, 9000), _ => chance.Between(1, 900) };
            bool local = number > 1 && chance.Percent(15);
            items.Add(new PlanItem(items.Count, PlanKind.Message, at) { Message = new MessagePlan(number, local ? 0 : session, sender, recipients, size) });
        }
    }

    private static string Name(string fate, int number, string domain) => string.Create(CultureInfo.InvariantCulture, $"{fate}.sender{number}@{domain}");

    private static void AddTroubles(List<PlanItem> items, Rng chance, TimeSpan length)
    {
        // Some worlds are quiet but for one or two things, so that a failure is easy to read; some have everything at once.
        int troubles = chance.Next(4) switch { 0 => chance.Between(0, 2), 1 => chance.Between(2, 6), _ => chance.Between(5, 16) };
        PlanKind[] kinds =
        [
            PlanKind.Kill, PlanKind.PowerCut, PlanKind.KillAtWrite, PlanKind.KillAtWrite, PlanKind.PowerCutAtWrite, PlanKind.PowerCutAtWrite, PlanKind.PowerCutAtWrite,
            PlanKind.Stop, PlanKind.Reload, PlanKind.ClockJump, PlanKind.SyncsFail, PlanKind.SyncsFail, PlanKind.WritesFail, PlanKind.ReadsFail, PlanKind.NamesFail,
            PlanKind.DiskFull, PlanKind.SlowDisk, PlanKind.BitRot, PlanKind.Cut, PlanKind.Cut, PlanKind.HalfOpen, PlanKind.SlowNetwork, PlanKind.HostDown,
            PlanKind.DnsFails, PlanKind.Peer, PlanKind.Peer, PlanKind.Peer, PlanKind.Mailboxes, PlanKind.Mailboxes,
            PlanKind.AgentKill, PlanKind.AgentKill,
        ];
        for (int i = 0; i < troubles; i++)
        {
            PlanKind kind = chance.Pick(kinds);
            TimeSpan at = When(chance, length);
            if (chance.Percent(60))
            {
                // Near a message, where something is going on.
                PlanItem near = items[chance.Next(items.Count)];
                at = near.At + TimeSpan.FromMilliseconds(chance.Percent(50) ? chance.Between(0, 60) : chance.Between(0, 5000));
            }

            TimeSpan lasts = TimeSpan.FromTicks(chance.Between(TimeSpan.TicksPerSecond / 10, chance.Percent(50) ? 20 * TimeSpan.TicksPerSecond : Math.Max(TimeSpan.TicksPerMinute, length.Ticks / 2)));
            int value = kind switch
            {
                PlanKind.KillAtWrite or PlanKind.PowerCutAtWrite => chance.Percent(50) ? chance.Between(1, 12) : chance.Between(1, 60),
                PlanKind.SyncsFail or PlanKind.WritesFail or PlanKind.ReadsFail or PlanKind.NamesFail => chance.Pick([10, 30, 60, 100]),
                _ => chance.Next(1 << 20),
            };
            items.Add(new PlanItem(items.Count, kind, at, Lasts(kind) ? lasts : default, value));
        }
    }

    private static bool Lasts(PlanKind kind) => kind is PlanKind.SyncsFail or PlanKind.WritesFail or PlanKind.ReadsFail or PlanKind.NamesFail
        or PlanKind.DiskFull or PlanKind.SlowDisk or PlanKind.SlowNetwork or PlanKind.HostDown or PlanKind.DnsFails or PlanKind.Peer or PlanKind.Mailboxes;

    private static void AddCommands(List<PlanItem> items, Rng chance, TimeSpan length)
    {
        PlanKind[] kinds =
        [
            PlanKind.Flush, PlanKind.Delete, PlanKind.Hold, PlanKind.Hold, PlanKind.Release, PlanKind.Requeue, PlanKind.Requeue, PlanKind.Expire, PlanKind.ForceExpire, PlanKind.List,
        ];
        for (int i = chance.Percent(40) ? 0 : chance.Between(1, 6); i > 0; i--)
        {
            items.Add(new PlanItem(items.Count, chance.Pick(kinds), When(chance, length), default, chance.Next(1 << 20)));
        }
    }

    private static TimeSpan When(Rng chance, TimeSpan length) => TimeSpan.FromTicks(chance.Between(0, length.Ticks));
}
