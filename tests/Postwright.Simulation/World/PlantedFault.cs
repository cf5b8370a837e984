namespace Postwright.Simulation.World;

/// <summary>A broken promise that a test plants, so that it is seen that the ledger finds it.</summary>
internal enum PlantedFault
{
    None,

    /// <summary>Syncs say that they are done and do nothing.</summary>
    DiskLies,

    /// <summary>The same, and the ledger's own look at the disk is deceived too: only the loss itself can tell.</summary>
    DiskLiesToEverybody,

    /// <summary>A mailbox gets each message twice.</summary>
    MailboxDoubles,

    /// <summary>A mailbox says that it has what it threw away.</summary>
    MailboxSwallows,

    /// <summary>A byte of what a mailbox gets is missing.</summary>
    MailboxLosesAByte,

    /// <summary>A delivery never answers.</summary>
    MailboxHangs,

    /// <summary>A delivery goes on in the thread pool.</summary>
    MailboxEscapes,

    /// <summary>Something is delivered to somebody who is no recipient.</summary>
    MailboxMixesUp,
}
