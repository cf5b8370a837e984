using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

/// <summary>A client's attempt to hand a message over.</summary>
internal sealed class Transaction(MessagePlan message, int attempt, IReadOnlyList<string> recipients)
{
    public MessagePlan Message => message;

    public int Attempt => attempt;

    /// <summary>Those that the server took.</summary>
    public IReadOnlyList<string> Recipients => recipients;

    /// <summary>The final dot is under way.</summary>
    public bool DotSent { get; set; }

    /// <summary>The reply to it as the client read it; 0 as long as it has not.</summary>
    public int Code { get; set; }

    /// <summary>The disk had trouble when the reply was read.</summary>
    public bool DiskHadTrouble { get; set; }

    /// <summary>A local user's: accepted when the maildrop file is finished.</summary>
    public bool IsLocal { get; init; }

    /// <summary>The name of the maildrop file.</summary>
    public string File { get; init; } = "";

    /// <summary>The maildrop file was removed.</summary>
    public bool FileIsGone { get; set; }

    /// <summary>The message that came of it, once it is in the queue.</summary>
    public Copy? Copy { get; set; }
}
