using System.Buffers;
using System.Buffers.Binary;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>Up to where a snapshot holds the log's effect; from (0, 0) on everything must be read.</summary>
internal readonly record struct SnapshotPosition(uint Generation, long Offset);

/// <summary>
/// The index on disk, so that a start reads only the end of the log. A file of blocks, each with its length and checksum:
/// first the position and the segments, then the rows, then an end that says how many there were. Written beside the old
/// one, synced, renamed over it, and the directory synced. It is only an accelerator: if it does not check, or a segment
/// it refers to is not there, the whole log is read.
/// <para>It is taken while the spool runs: a row may already hold the effect of records behind the position. Replaying
/// those is harmless (<see cref="IndexReplay"/>). Only rows whose records are all on disk are written.</para>
/// </summary>
internal static class SpoolSnapshot
{
    /// <summary>Bytes after which a block is ended.</summary>
    public const int BlockBytes = 256 << 10;

    private const string Name = "index";
    private const string NewName = "index.new";
    private const int LargestBlock = 64 << 20;
    private const uint Version = 0x31495750;

    /// <summary>Begins the last block; a row never begins so, since a queue ID is not empty.</summary>
    private const byte EndMark = 0;

    /// <summary>Loads the snapshot, if there is one that is whole and all it refers to is there.</summary>
    public static SnapshotPosition TryLoad(SpoolOptions options, IDisk disk, SpoolIndex index, MailLog? log)
    {
        try
        {
            using IDiskFile file = disk.Open(Path.Combine(options.Directory, Name), DiskOpen.Read);
            if (TryLoad(file, index, out SnapshotPosition position))
            {
                return position;
            }

            log?.Warning("spool: the index cannot be used; the whole log is read");
        }
        catch (DiskException failure)
        {
            if (failure.Errno != DiskException.NoSuchFile)
            {
                log?.Warning($"spool: {failure.Message}; the whole log is read");
            }
        }

        index.Clear();
        return default;
    }

    /// <summary>Removes the snapshot, durably.</summary>
    /// <exception cref="DiskException">The disk failed; it may still be there.</exception>
    public static void Delete(SpoolOptions options, IDisk disk)
    {
        disk.Delete(Path.Combine(options.Directory, NewName));
        disk.Delete(Path.Combine(options.Directory, Name));
        disk.SyncDirectory(options.Directory);
    }

    private static bool TryLoad(IDiskFile file, SpoolIndex index, out SnapshotPosition position)
    {
        position = default;
        long offset = 0;
        bool begun = false;
        long rows = 0;
        while (true)
        {
            byte[]? block = ReadBlock(file, ref offset, out int length);
            if (block is null)
            {
                return false;
            }

            try
            {
                var reader = new RecordReader(block.AsSpan(0, length));
                if (!begun)
                {
                    begun = ReadHead(ref reader, index, out position);
                    if (!begun)
                    {
                        return false;
                    }
                }
                else if (block[0] == EndMark)
                {
                    reader.Byte();
                    return reader.Long() == rows && !reader.Failed;
                }
                else
                {
                    while (!reader.AtEnd)
                    {
                        if (!SnapshotRow.Read(ref reader, index))
                        {
                            return false;
                        }

                        rows++;
                    }

                    if (reader.Failed)
                    {
                        return false;
                    }
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(block);
            }
        }
    }

    private static bool ReadHead(ref RecordReader reader, SpoolIndex index, out SnapshotPosition position)
    {
        position = default;
        if (reader.Number() != Version)
        {
            return false;
        }

        position = new SnapshotPosition((uint)reader.Number(), reader.Long());
        long about = reader.Long();
        for (int count = reader.Count(); count > 0; count--)
        {
            uint generation = (uint)reader.Number();
            uint seed = (uint)reader.Number();
            uint oldestForeign = (uint)reader.Number();
            if (index.Segments.TryGetValue(generation, out Segment? segment) && segment.Seed == seed)
            {
                segment.OldestForeign = oldestForeign;
                segment.InSnapshot = true;
            }
        }

        for (int count = reader.Count(); count > 0; count--)
        {
            index.RememberMaildrop(reader.Text());
        }

        index.HasUnsavedKeys = false;

        index.Entries.EnsureCapacity((int)Math.Min(about, 10_000_000));

        // The position's own segment must be the one that was meant, or the tail would be read from nowhere.
        return !reader.Failed && (position.Generation == 0 || (index.Segments.TryGetValue(position.Generation, out Segment? last) && last.InSnapshot));
    }

    private static byte[]? ReadBlock(IDiskFile file, ref long offset, out int length)
    {
        Span<byte> head = stackalloc byte[8];
        length = 0;
        if (file.Read(head, offset) < head.Length)
        {
            return null;
        }

        length = BinaryPrimitives.ReadInt32LittleEndian(head);
        if (length is <= 0 or > LargestBlock)
        {
            return null;
        }

        byte[] block = ArrayPool<byte>.Shared.Rent(length);
        if (file.Read(block.AsSpan(0, length), offset + head.Length) == length
            && Crc32C.Compute(block.AsSpan(0, length)) == BinaryPrimitives.ReadUInt32LittleEndian(head[4..]))
        {
            offset += head.Length + length;
            return block;
        }

        ArrayPool<byte>.Shared.Return(block);
        return null;
    }

    /// <summary>A snapshot being written. Blocks on the disk; dispose it in any case.</summary>
    internal sealed class Writer : IDisposable
    {
        private readonly IDisk _disk;
        private readonly string _directory;
        private readonly IDiskFile _file;
        private readonly byte[] _head = new byte[8];
        private long _offset;

        /// <summary>Begins one; what an interrupted one left is replaced.</summary>
        /// <exception cref="DiskException">The disk failed.</exception>
        public Writer(SpoolOptions options, IDisk disk)
        {
            (_disk, _directory) = (disk, options.Directory);
            string path = Path.Combine(_directory, NewName);
            disk.Delete(path);
            _file = disk.Open(path, DiskOpen.CreateNew);
        }

        /// <summary>Encodes position and segments. The gate is held.</summary>
        public static void Head(RecordWriter writer, SpoolIndex index, SnapshotPosition position)
        {
            writer.Number((ulong)Version);
            writer.Number(position.Generation);
            writer.Number(position.Offset);
            writer.Number(index.Entries.Count);
            writer.Number(index.Segments.Count);
            foreach (Segment segment in index.Segments.Values)
            {
                writer.Number(segment.Generation);
                writer.Number(segment.Seed);
                writer.Number(segment.OldestForeign);
            }

            string[] keys = index.RememberedMaildrop();
            writer.Number(keys.Length);
            foreach (string key in keys)
            {
                writer.Text(key);
            }
        }

        /// <summary>Writes a block and starts the next.</summary>
        /// <exception cref="DiskException">The disk failed.</exception>
        public void Block(RecordWriter writer)
        {
            BinaryPrimitives.WriteInt32LittleEndian(_head, writer.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(_head.AsSpan(4), Crc32C.Compute(writer.Written));
            _file.Write(_head, _offset);
            _file.Write(writer.Written, _offset + _head.Length);
            _offset += _head.Length + writer.Length;
            writer.Clear();
        }

        /// <summary>Ends the snapshot and puts it in the place of the old one, durably.</summary>
        /// <exception cref="DiskException">The disk failed; which of the two counts is then unknown.</exception>
        public void Finish(RecordWriter writer, long rows)
        {
            writer.Clear();
            writer.Byte(EndMark);
            writer.Number(rows);
            Block(writer);
            _file.Sync();
            _disk.Rename(Path.Combine(_directory, NewName), Path.Combine(_directory, Name));
            _disk.SyncDirectory(_directory);
        }

        /// <summary>Bytes so far.</summary>
        public long Length => _offset;

        /// <inheritdoc />
        public void Dispose() => _file.Dispose();
    }
}
