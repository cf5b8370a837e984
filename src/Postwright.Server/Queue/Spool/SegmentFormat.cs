using System.Buffers.Binary;

namespace Postwright.Server.Queue.Spool;

/// <summary>What a segment's header says.</summary>
/// <param name="Generation">The segment's number; grows with every life of every segment.</param>
/// <param name="Size">Bytes of the file, both headers included.</param>
/// <param name="Salt">16 random bytes that no content can know.</param>
/// <param name="Proofs">Up to where older segments were synced when this one began: damage below is corruption, not a torn tail.</param>
internal sealed record SegmentHeader(uint Generation, long Size, byte[] Salt, IReadOnlyList<SyncProof> Proofs);

/// <summary>Says that a segment was synced up to an offset.</summary>
/// <param name="Generation">The segment.</param>
/// <param name="Synced">The offset.</param>
/// <param name="TailCounts">
/// What stands behind the offset was found by a recovery and taken over. Otherwise it is what a failed sync left: it was
/// written again elsewhere or refused, and does not count.
/// </param>
internal readonly record struct SyncProof(uint Generation, long Synced, bool TailCounts);

/// <summary>What a batch's header says.</summary>
/// <param name="Number">Counts the batches of a segment from 0.</param>
/// <param name="SyncedBefore">Up to where the segment was synced when the batch was written.</param>
/// <param name="Length">Bytes from the header to the end of the last record, without padding.</param>
/// <param name="Records">Number of records.</param>
internal readonly record struct BatchHeader(long Number, long SyncedBefore, int Length, int Records);

/// <summary>The kinds of record.</summary>
internal enum RecordType : byte
{
    /// <summary>A message; again, with its state, where compaction copied it.</summary>
    Message = 1,

    /// <summary>Changes of one message, applied together.</summary>
    Changes = 2,

    /// <summary>The message is gone.</summary>
    Remove = 3,

    /// <summary>The message was never acknowledged and must not come back.</summary>
    Abort = 4,
}

/// <summary>What a record's header says.</summary>
/// <param name="Length">Header, queue ID and body, without padding.</param>
/// <param name="Type">The kind.</param>
/// <param name="IdLength">Bytes of the queue ID.</param>
/// <param name="BodyCheck">The checksum of ID and body, salted.</param>
/// <param name="Seed">The salt of this place: the segment's, and the offset.</param>
internal readonly record struct RecordHeader(int Length, RecordType Type, int IdLength, uint BodyCheck = 0, uint Seed = 0);

/// <summary>
/// The fixed parts of a segment, little-endian. A page of header, the batches, and a second copy of the header in the last
/// page, so that one bad page cannot take 64 MiB of mail with it. Batches begin on a page, so that a torn write never
/// touches a page that holds acknowledged records; records begin on 8 bytes, so that they can be found again behind damage.
/// Every checksum begins with salt and generation, and a record's with its offset too: bytes from elsewhere never check.
/// </summary>
internal static class SegmentFormat
{
    public const int Page = 4096;
    public const int BatchHeaderSize = 64;
    public const int RecordHeaderSize = 16;
    public const int MostIdLength = 40;
    public const int SaltSize = 16;

    private const int HeaderSize = 64;
    private const int ProofSize = 12;

    /// <summary>As many as the page holds; with more segments than that the newest are proven.</summary>
    private const int MostProofs = (Page - HeaderSize - 4) / ProofSize;
    private const int BatchChecked = 44;

    private static ReadOnlySpan<byte> Magic => "PWSPOOL1"u8;

    public static long Align(long length, int to) => (length + to - 1) & ~((long)to - 1);

    public static int AlignRecord(int length) => (int)Align(length, 8);

    /// <summary>Bytes of the largest record that an empty segment of this size holds.</summary>
    public static int MostRecord(long segmentBytes) => (int)(segmentBytes - (2 * Page) - BatchHeaderSize);

    /// <summary>The checksum register that every check of this segment begins with.</summary>
    public static uint Seed(ReadOnlySpan<byte> salt, uint generation)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(number, generation);
        return Crc32C.Append(Crc32C.Append(~0u, salt), number);
    }

    public static void WriteHeader(Span<byte> page, SegmentHeader header)
    {
        page.Clear();
        Magic.CopyTo(page);
        BinaryPrimitives.WriteUInt32LittleEndian(page[8..], header.Generation);
        int proofs = Math.Min(header.Proofs.Count, MostProofs);
        BinaryPrimitives.WriteInt32LittleEndian(page[12..], proofs);
        BinaryPrimitives.WriteInt64LittleEndian(page[16..], header.Size);
        header.Salt.CopyTo(page[24..]);
        Span<byte> target = page[HeaderSize..];
        for (int i = header.Proofs.Count - proofs; i < header.Proofs.Count; i++, target = target[ProofSize..])
        {
            BinaryPrimitives.WriteUInt32LittleEndian(target, header.Proofs[i].Generation);
            BinaryPrimitives.WriteInt64LittleEndian(target[4..], header.Proofs[i].Synced | (header.Proofs[i].TailCounts ? 1L : 0));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(page[(Page - 4)..], Crc32C.Compute(page[..(Page - 4)]));
    }

    public static SegmentHeader? ReadHeader(ReadOnlySpan<byte> page)
    {
        if (page.Length != Page || !page.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(page[(Page - 4)..]) != Crc32C.Compute(page[..(Page - 4)]))
        {
            return null;
        }

        var proofs = new SyncProof[Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(page[12..]), 0, MostProofs)];
        for (int i = 0; i < proofs.Length; i++)
        {
            ReadOnlySpan<byte> source = page[(HeaderSize + (i * ProofSize))..];
            long synced = BinaryPrimitives.ReadInt64LittleEndian(source[4..]);
            proofs[i] = new SyncProof(BinaryPrimitives.ReadUInt32LittleEndian(source), synced & ~1L, (synced & 1) != 0);
        }

        return new SegmentHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(page[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(page[16..]),
            page.Slice(24, SaltSize).ToArray(),
            proofs);
    }

    public static void WriteBatchHeader(Span<byte> target, ReadOnlySpan<byte> salt, uint seed, long offset, BatchHeader header)
    {
        target[..BatchHeaderSize].Clear();
        salt[..8].CopyTo(target);
        BinaryPrimitives.WriteInt64LittleEndian(target[8..], header.Number);
        BinaryPrimitives.WriteInt64LittleEndian(target[16..], offset);
        BinaryPrimitives.WriteInt64LittleEndian(target[24..], header.SyncedBefore);
        BinaryPrimitives.WriteInt32LittleEndian(target[32..], header.Length);
        BinaryPrimitives.WriteInt32LittleEndian(target[36..], header.Records);
        BinaryPrimitives.WriteUInt32LittleEndian(target[BatchChecked..], ~Crc32C.Append(seed, target[..BatchChecked]));
    }

    /// <summary>Reads the header of the batch that begins at <paramref name="offset"/>; false if there is none.</summary>
    public static bool TryReadBatchHeader(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> salt, uint seed, long offset, out BatchHeader header)
    {
        header = default;
        if (bytes.Length < BatchHeaderSize || !bytes.StartsWith(salt[..8])
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[BatchChecked..]) != ~Crc32C.Append(seed, bytes[..BatchChecked])
            || BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]) != offset)
        {
            return false;
        }

        header = new BatchHeader(
            BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[36..]));
        return header.Length >= BatchHeaderSize && header.Records >= 0 && header.SyncedBefore <= offset;
    }

    /// <param name="target">Where the 16 bytes go.</param>
    /// <param name="seed">The segment's seed.</param>
    /// <param name="offset">Where the record begins in the segment.</param>
    /// <param name="header">What to write; its checks are computed here.</param>
    /// <param name="bodyChecksum">The unsalted checksum of queue ID and body.</param>
    public static void WriteRecordHeader(Span<byte> target, uint seed, long offset, RecordHeader header, uint bodyChecksum)
    {
        seed = AtPlace(seed, offset);
        BinaryPrimitives.WriteInt32LittleEndian(target, header.Length);
        target[4] = (byte)header.Type;
        target[5] = (byte)header.IdLength;
        target[6] = target[7] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], ~Crc32C.Append(seed, target[..8]));
        BinaryPrimitives.WriteUInt32LittleEndian(target[12..], Salted(seed, bodyChecksum));
    }

    /// <summary>Reads the header of the record that begins at <paramref name="offset"/>; the body is not looked at.</summary>
    public static bool TryReadRecordHeader(ReadOnlySpan<byte> bytes, uint seed, long offset, out RecordHeader header)
    {
        header = default;
        if (bytes.Length < RecordHeaderSize)
        {
            return false;
        }

        seed = AtPlace(seed, offset);
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]) != ~Crc32C.Append(seed, bytes[..8]))
        {
            return false;
        }

        header = new RecordHeader(
            BinaryPrimitives.ReadInt32LittleEndian(bytes),
            (RecordType)bytes[4],
            bytes[5],
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]),
            seed);
        return header.Length >= RecordHeaderSize + header.IdLength && header.IdLength is > 0 and <= MostIdLength
            && header.Type is >= RecordType.Message and <= RecordType.Abort;
    }

    /// <summary>True when the bytes after the header are what was written.</summary>
    public static bool IsBodyGood(ReadOnlySpan<byte> record, RecordHeader header) =>
        Salted(header.Seed, Crc32C.Compute(record[RecordHeaderSize..header.Length])) == header.BodyCheck;

    private static uint AtPlace(uint seed, long offset)
    {
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, offset);
        return Crc32C.Append(seed, number);
    }

    private static uint Salted(uint seed, uint checksum)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(number, checksum);
        return ~Crc32C.Append(seed, number);
    }
}
