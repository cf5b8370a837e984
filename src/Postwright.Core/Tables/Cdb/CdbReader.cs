using System.Buffers.Binary;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.Cdb;

// A cdb file is never changed once it has its name, so a search needs neither a lock nor a second look. A search ends after
// as many slots as its table has, whatever they say.

/// <summary>Reads <c>cdb:</c> files.</summary>
internal sealed class CdbReader(IndexFile file) : IndexReader
{
    /// <summary>The longest value: more than any real table needs, little enough for memory.</summary>
    private const int MaxItem = 16 << 20;

    private readonly byte[] _directory = new byte[CdbFormat.DirectorySize];
    private readonly byte[] _pair = new byte[8];
    private byte[] _record = new byte[1024];
    private long _length;
    private string? _damage;

    public override string? Damage => _damage;

    public override bool ReadMeta()
    {
        _damage = null;
        file.Forget();
        _length = file.Length;
        return (_length <= uint.MaxValue && file.Read(_directory, 0) == _directory.Length) || Fail(file.Failure ?? "it is not a cdb file");
    }

    public override IndexOutcome Find(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        _damage = null;
        value = default;
        uint hash = CdbFormat.Hash(key);
        (uint table, uint slots) = Pair(_directory.AsSpan((int)(hash & 255) * 8));
        if (slots == 0)
        {
            return IndexOutcome.NotFound;
        }

        if (table + (slots * 8L) > _length)
        {
            Fail("a table of hashes lies outside the file");
            return IndexOutcome.Damaged;
        }

        uint slot = (hash >> 8) % slots;
        for (uint tried = 0; tried < slots; tried++)
        {
            if (!TryPair(table + (slot * 8L), out (uint Hash, uint Position) entry))
            {
                return IndexOutcome.Damaged;
            }

            if (entry.Position == 0)
            {
                return IndexOutcome.NotFound;
            }

            if (entry.Hash == hash && Compare(entry.Position, key, out value) is not IndexOutcome.NotFound and IndexOutcome outcome)
            {
                return outcome;
            }

            slot = slot + 1 == slots ? 0 : slot + 1;
        }

        return IndexOutcome.NotFound;
    }

    /// <summary>Postfix lists no cdb table, and nothing here asks for it.</summary>
    public override void List(IndexEntry entry) => Fail("cdb tables are not listed");

    private IndexOutcome Compare(uint position, ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!TryPair(position, out (uint Key, uint Value) length))
        {
            return IndexOutcome.Damaged;
        }

        if (length.Key != key.Length)
        {
            return IndexOutcome.NotFound;
        }

        if (length.Value > MaxItem || position + 8L + length.Key + length.Value > _length)
        {
            Fail("a record lies outside the file");
            return IndexOutcome.Damaged;
        }

        int total = (int)(length.Key + length.Value);
        if (_record.Length < total)
        {
            _record = new byte[total];
        }

        if (!file.TryRead(position + 8L, total, _record, out ReadOnlySpan<byte> record))
        {
            Fail(file.Failure ?? "a record is cut short");
            return IndexOutcome.Damaged;
        }

        value = record[key.Length..];
        return record[..key.Length].SequenceEqual(key) ? IndexOutcome.Found : IndexOutcome.NotFound;
    }

    private bool TryPair(long offset, out (uint First, uint Second) pair)
    {
        pair = default;
        if (offset + 8 > _length || !file.TryRead(offset, 8, _pair, out ReadOnlySpan<byte> bytes))
        {
            return Fail(file.Failure ?? "a record lies outside the file");
        }

        pair = Pair(bytes);
        return true;
    }

    private static (uint First, uint Second) Pair(ReadOnlySpan<byte> bytes) =>
        (BinaryPrimitives.ReadUInt32LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));

    private bool Fail(string reason)
    {
        _damage ??= reason;
        return false;
    }
}
