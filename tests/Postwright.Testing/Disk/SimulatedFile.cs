namespace Postwright.Testing.Disk;

/// <summary>A file of the simulated disk, as readers see it before any power cut.</summary>
internal sealed class SimulatedFile(SimulatedDisk disk, int number, byte[] content)
{
    public SimulatedDisk Disk { get; } = disk;

    public int Number { get; } = number;

    public byte[] Content { get; private set; } = content;

    public bool Locked { get; set; }

    public void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        Grow(offset + bytes.Length);
        bytes.CopyTo(Content.AsSpan((int)offset));
        Disk.History.Add(new DiskEvent(DiskEventKind.Write, Number, Offset: offset, Bytes: bytes.ToArray(), Length: bytes.Length));
    }

    public void Extend(long length)
    {
        int old = Content.Length;
        if (length > old)
        {
            Grow(length);
            Disk.History.Add(new DiskEvent(DiskEventKind.Write, Number, Offset: old, Length: (int)length - old));
        }
    }

    public void Truncate(long length)
    {
        Content = Content[..(int)length];
        Disk.History.Add(new DiskEvent(DiskEventKind.Truncate, Number, Offset: length));
    }

    public int TrySync()
    {
        int errno = Disk.Fault(DiskCall.Sync, "");
        Disk.History.Add(new DiskEvent(errno == 0 ? DiskEventKind.Sync : DiskEventKind.FailedSync, Number));
        return errno;
    }

    private void Grow(long length)
    {
        if (Content.Length < length)
        {
            byte[] larger = Content;
            Array.Resize(ref larger, (int)length);
            Content = larger;
        }
    }
}
