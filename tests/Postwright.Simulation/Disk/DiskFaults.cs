namespace Postwright.Simulation.Disk;

/// <summary>What the disk does wrong at the moment; the world's plan sets it.</summary>
internal sealed class DiskFaults
{
    /// <summary>Of a hundred syncs so many fail.</summary>
    public int FailingSyncs { get; set; }

    /// <summary>Of a hundred writes so many fail, some of their bytes written.</summary>
    public int FailingWrites { get; set; }

    /// <summary>Of a hundred reads so many fail.</summary>
    public int FailingReads { get; set; }

    /// <summary>Of a hundred changes of names, and syncs of directories, so many fail.</summary>
    public int FailingNames { get; set; }

    /// <summary>A sync takes up to so long.</summary>
    public TimeSpan SlowSync { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>Nothing new fits.</summary>
    public bool Full { get; set; }

    /// <summary>True when calls may fail at the moment.</summary>
    public bool Any => FailingSyncs > 0 || FailingWrites > 0 || FailingReads > 0 || FailingNames > 0 || Full;

    public void Clear()
    {
        FailingSyncs = FailingWrites = FailingReads = FailingNames = 0;
        SlowSync = TimeSpan.FromMilliseconds(2);
        Full = false;
    }
}
