namespace Postwright.Server.Deliver.Agent;

#pragma warning disable RS0030 // Runs on delivery threads, which may block.

/// <summary>Waits for a table on a delivery's own thread. Local tables complete at once.</summary>
internal static class TableLookup
{
    public static T Wait<T>(ValueTask<T> lookup)
        => lookup.IsCompleted ? lookup.GetAwaiter().GetResult() : lookup.AsTask().GetAwaiter().GetResult();
}
