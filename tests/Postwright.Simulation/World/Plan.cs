using System.Globalization;

namespace Postwright.Simulation.World;

/// <summary>What an item of a plan is.</summary>
internal enum PlanKind
{
    /// <summary>A client sends a message.</summary>
    Message,

    /// <summary>kill -9 at a moment.</summary>
    Kill,

    /// <summary>A power cut at a moment.</summary>
    PowerCut,

    /// <summary>kill -9 at the n-th write, sync or change of a name from that moment on.</summary>
    KillAtWrite,

    /// <summary>A power cut at the n-th write, sync or change of a name from that moment on.</summary>
    PowerCutAtWrite,

    /// <summary>The orderly end, and a new start.</summary>
    Stop,

    /// <summary>Another configuration.</summary>
    Reload,

    /// <summary>The wall clock is set.</summary>
    ClockJump,

    /// <summary>Syncs fail for a while.</summary>
    SyncsFail,

    /// <summary>Writes fail for a while.</summary>
    WritesFail,

    /// <summary>Reads fail for a while.</summary>
    ReadsFail,

    /// <summary>Renames, deletes, creations and directory syncs fail for a while.</summary>
    NamesFail,

    /// <summary>The disk is full for a while.</summary>
    DiskFull,

    /// <summary>Syncs take seconds for a while.</summary>
    SlowDisk,

    /// <summary>A bit turns.</summary>
    BitRot,

    /// <summary>A connection is cut.</summary>
    Cut,

    /// <summary>A connection falls silent.</summary>
    HalfOpen,

    /// <summary>The network is slow for a while.</summary>
    SlowNetwork,

    /// <summary>A remote host refuses, is silent or cannot be reached for a while.</summary>
    HostDown,

    /// <summary>DNS answers with failures for a while.</summary>
    DnsFails,

    /// <summary>A remote server behaves in its own way for a while.</summary>
    Peer,

    /// <summary>Local delivery behaves in its own way for a while.</summary>
    Mailboxes,

    /// <summary>kill -9 of the agent, which is started anew.</summary>
    AgentKill,

    /// <summary>postqueue -f.</summary>
    Flush,

    /// <summary>postsuper -d.</summary>
    Delete,

    /// <summary>postsuper -h.</summary>
    Hold,

    /// <summary>postsuper -H.</summary>
    Release,

    /// <summary>postsuper -r.</summary>
    Requeue,

    /// <summary>postsuper -e.</summary>
    Expire,

    /// <summary>postsuper -f.</summary>
    ForceExpire,

    /// <summary>postqueue -p.</summary>
    List,
}

/// <summary>One thing that will happen. What its numbers mean depends on the kind.</summary>
/// <param name="Id">Its place in the plan, which it keeps when others are dropped.</param>
/// <param name="Kind">What it is.</param>
/// <param name="At">When.</param>
/// <param name="Length">For how long.</param>
/// <param name="Value">How strong, which one, at which event.</param>
internal sealed record PlanItem(int Id, PlanKind Kind, TimeSpan At, TimeSpan Length = default, int Value = 0)
{
    /// <summary>For a message: what is sent.</summary>
    public MessagePlan? Message { get; init; }

    /// <inheritdoc />
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Id,4} {At:hh\\:mm\\:ss\\.fff} {Kind}{(Length > TimeSpan.Zero ? $" for {Length:hh\\:mm\\:ss}" : "")}{(Message is null ? $" {Value}" : $" {Message}")}");
}

/// <summary>A message that a client will send.</summary>
/// <param name="Number">Its number, in its addresses and content.</param>
/// <param name="Session">Messages of one session are sent one after the other over one connection.</param>
/// <param name="Sender">Envelope sender; empty for the null sender.</param>
/// <param name="Recipients">Addresses, each of this message alone.</param>
/// <param name="Size">Bytes of the body.</param>
internal sealed record MessagePlan(int Number, int Session, string Sender, IReadOnlyList<string> Recipients, int Size)
{
    /// <inheritdoc />
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"m{Number} session {Session} <{Sender}> -> {string.Join(", ", Recipients)} ({Size} bytes)");
}

/// <summary>All that will happen in one world: made from the seed, and made smaller by the shrinker.</summary>
internal sealed record Plan(ulong Seed, int Variant, TimeSpan Length, IReadOnlyList<PlanItem> Items)
{
    /// <summary>Bytes that all files of the disk may have together.</summary>
    public long DiskBytes { get; init; } = 256L << 20;

    public Plan Without(IReadOnlySet<int> ids) => this with { Items = [.. Items.Where(item => !ids.Contains(item.Id))] };
}
