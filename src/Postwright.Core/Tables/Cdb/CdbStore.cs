using System.Buffers.Binary;
using Postwright.Core.Posix;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.Cdb;

// Entries are kept in memory until the end, since -r replaces what was put in before. Then the file is written from front to
// back: the directory, the records, and the hash tables with twice as many slots as they have entries.

/// <summary>A cdb file that is being written.</summary>
internal sealed class CdbStore : IIndexStore
{
    private readonly string _path;
    private readonly List<(byte[] Key, byte[] Value)> _entries = [];
    private readonly Dictionary<byte[], int> _indexes = new(new KeyComparer());

    public CdbStore(string path) => _path = path;

    public bool? Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool replace, out string? error)
    {
        error = null;
        byte[] kept = key.ToArray();
        if (_indexes.TryAdd(kept, _entries.Count))
        {
            _entries.Add((kept, value.ToArray()));
            return true;
        }

        if (replace)
        {
            _entries[_indexes[kept]] = (kept, value.ToArray());
        }

        return replace;
    }

    public bool? Delete(ReadOnlySpan<byte> key, out string? error)
    {
        error = "a cdb file cannot be changed";
        return null;
    }

    public string? Close()
    {
        int descriptor = DeliveryFile.Open(_path, Libc.ReadWrite);
        if (descriptor < 0)
        {
            return DeliveryFile.ErrorText(descriptor);
        }

        try
        {
            return Write(new Output(descriptor));
        }
        finally
        {
            DeliveryFile.Close(descriptor);
        }
    }

    public void Dispose()
    {
        // Nothing was written yet.
    }

    private string? Write(Output output)
    {
        var tables = new List<(uint Hash, uint Position)>[256];
        long position = CdbFormat.DirectorySize;
        foreach ((byte[] key, byte[] value) in _entries)
        {
            uint hash = CdbFormat.Hash(key);
            (tables[hash & 255] ??= []).Add((hash, (uint)position));
            position += 8L + key.Length + value.Length;
            if (position + (_entries.Count * 16L) > uint.MaxValue)
            {
                return "the table is too large for a cdb file";
            }
        }

        foreach (List<(uint Hash, uint Position)>? table in tables)
        {
            uint slots = (uint)(table?.Count ?? 0) * 2;
            output.WritePair((uint)position, slots);
            position += slots * 8;
        }

        foreach ((byte[] key, byte[] value) in _entries)
        {
            output.WritePair((uint)key.Length, (uint)value.Length);
            output.Write(key);
            output.Write(value);
        }

        foreach (List<(uint Hash, uint Position)>? table in tables)
        {
            WriteTable(output, table ?? []);
        }

        return output.Finish();
    }

    private static void WriteTable(Output output, List<(uint Hash, uint Position)> entries)
    {
        int slots = entries.Count * 2;
        var table = new (uint Hash, uint Position)[slots];
        foreach ((uint Hash, uint Position) entry in entries)
        {
            int slot = (int)((entry.Hash >> 8) % (uint)slots);
            while (table[slot].Position != 0)
            {
                slot = slot + 1 == slots ? 0 : slot + 1;
            }

            table[slot] = entry;
        }

        foreach ((uint hash, uint position) in table)
        {
            output.WritePair(hash, position);
        }
    }

    /// <summary>Buffered writing to a descriptor; the first error is kept to the end.</summary>
    private sealed class Output(int descriptor)
    {
        private readonly byte[] _buffer = new byte[1 << 16];
        private int _used;
        private int _failure;

        public void Write(ReadOnlySpan<byte> bytes)
        {
            if (bytes.Length > _buffer.Length - _used)
            {
                Flush();
                if (bytes.Length > _buffer.Length)
                {
                    WriteOut(bytes);
                    return;
                }
            }

            bytes.CopyTo(_buffer.AsSpan(_used));
            _used += bytes.Length;
        }

        public void WritePair(uint first, uint second)
        {
            Span<byte> pair = stackalloc byte[8];
            BinaryPrimitives.WriteUInt32LittleEndian(pair, first);
            BinaryPrimitives.WriteUInt32LittleEndian(pair[4..], second);
            Write(pair);
        }

        /// <summary>Writes the rest; null or what went wrong.</summary>
        public string? Finish()
        {
            Flush();
            return _failure == 0 ? null : DeliveryFile.ErrorText(_failure);
        }

        private void Flush()
        {
            WriteOut(_buffer.AsSpan(0, _used));
            _used = 0;
        }

        private void WriteOut(ReadOnlySpan<byte> bytes)
        {
            if (_failure == 0)
            {
                _failure = Math.Min(0, DeliveryFile.Write(descriptor, bytes));
            }
        }
    }

    private sealed class KeyComparer : IEqualityComparer<byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] key) => (int)CdbFormat.Hash(key);
    }
}
