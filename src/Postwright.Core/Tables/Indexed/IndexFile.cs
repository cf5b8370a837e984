using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Tables.Indexed;

// Reading with pread, never a map: a file that is cut short gives a short read, not SIGBUS. Tools that ask a million times
// keep what they have read (KeepsContent); the mail process leaves that to the system's page cache, since a copy of each
// table in its own memory would cost more than the calls.

/// <summary>The bytes of an indexed file. Not for use by two threads at once.</summary>
internal sealed class IndexFile(SafeFileHandle file)
{
    /// <summary>The largest content that is kept; of a larger file, what lies beyond is read each time.</summary>
    private const int KeptLimit = 512 << 20;
    private const int BlockSize = 64 << 10;

    private byte[] _kept = [];
    private bool[] _blocks = [];

    /// <summary>The file's length at this moment.</summary>
    public long Length => RandomAccess.GetLength(file);

    /// <summary>What the system said when a read failed, or null.</summary>
    public string? Failure { get; private set; }

    /// <summary>Keeps what is read until <see cref="Forget"/>.</summary>
    public bool KeepsContent { get; set; }

    /// <summary>Counts reads from the file itself.</summary>
    public long Reads { get; private set; }

    /// <summary>Drops what was kept: the file has changed.</summary>
    public void Forget()
    {
        int length = KeepsContent ? (int)Math.Min(Length, KeptLimit) : 0;
        _kept = _kept.Length == length ? _kept : GC.AllocateUninitializedArray<byte>(length);
        _blocks = new bool[(length + BlockSize - 1) / BlockSize];
    }

    /// <summary>Reads exactly <paramref name="length"/> bytes; false when they are not there. They are good until the next call.</summary>
    /// <param name="offset">Where they begin.</param>
    /// <param name="length">How many.</param>
    /// <param name="scratch">Takes them unless they are kept; at least as long.</param>
    /// <param name="bytes">The bytes.</param>
    public bool TryRead(long offset, int length, byte[] scratch, out ReadOnlySpan<byte> bytes)
    {
        if (offset >= 0 && offset + length <= _kept.Length)
        {
            for (int block = (int)(offset / BlockSize); block <= (offset + length - 1) / BlockSize; block++)
            {
                if (!_blocks[block] && !Keep(block))
                {
                    bytes = default;
                    return false;
                }
            }

            bytes = _kept.AsSpan((int)offset, length);
            return true;
        }

        bytes = scratch.AsSpan(0, length);
        return offset >= 0 && Read(scratch.AsSpan(0, length), offset) == length;
    }

    /// <summary>Reads from the file itself; fewer bytes than asked for at its end.</summary>
    public int Read(Span<byte> bytes, long offset)
    {
        int done = 0;
        Reads++;
        try
        {
            while (done < bytes.Length)
            {
                int count = RandomAccess.Read(file, bytes[done..], offset + done);
                if (count == 0)
                {
                    break;
                }

                done += count;
            }
        }
        catch (IOException e)
        {
            Failure = e.Message;
        }

        return done;
    }

    private bool Keep(int block)
    {
        int start = block * BlockSize;
        Span<byte> bytes = _kept.AsSpan(start, Math.Min(BlockSize, _kept.Length - start));
        _blocks[block] = Read(bytes, start) == bytes.Length;
        return _blocks[block];
    }
}
