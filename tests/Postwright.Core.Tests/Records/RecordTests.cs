using CsCheck;
using Postwright.Core.Records;
using Postwright.Testing;

namespace Postwright.Core.Tests.Records;

public class RecordTests
{
    [Fact]
    public void Records_are_read_as_they_were_written()
    {
        Gen.Select(Gen.Byte, Gen.Byte.Array[0, 300]).List[0, 20].Try(static records =>
        {
            byte[] file = Write(records);
            var reader = new RecordReader(new MemoryStream(file), 0);
            foreach ((byte type, byte[] data) in records)
            {
                Assert.Equal(RecordReadStatus.Record, reader.Read());
                Assert.Equal(type, reader.Type);
                Assert.Equal(data, reader.Data.ToArray());
            }

            Assert.Equal(RecordReadStatus.EndOfStream, reader.Read());
        }, count: 300);
    }

    [Fact]
    public async Task A_stream_cut_at_every_byte_is_incomplete_and_never_another_record()
    {
        byte[] file = Write([((byte)'S', "root"u8.ToArray()), ((byte)'N', new byte[200]), ((byte)'E', [])]);
        for (int cut = 0; cut < file.Length; cut++)
        {
            var reader = new RecordReader(new OneByteStream(file[..cut]), 0);
            RecordReadStatus status;
            while ((status = await reader.ReadAsync(TestContext.Current.CancellationToken)) == RecordReadStatus.Record)
            {
                Assert.True(reader.NextOffset <= cut);
            }

            bool betweenRecords = cut is 0 or 6 || cut == 6 + 3 + 200;
            Assert.Equal(betweenRecords ? RecordReadStatus.EndOfStream : RecordReadStatus.Invalid, status);
        }
    }

    [Theory]
    [InlineData(127, 2)]
    [InlineData(128, 3)]
    [InlineData(2048, 3)]
    [InlineData(20000, 4)]
    public void Lengths_take_seven_bits_a_byte_lowest_first(int length, int header)
    {
        byte[] file = Write([((byte)'N', new byte[length])]);
        Assert.Equal(header + length, file.Length);
        Assert.Equal(RecordStatus.Parsed, RecordParser.TryRead(file, 0, out _, out int found, out int foundLength));
        Assert.Equal((header, length), (found, foundLength));
    }

    [Fact]
    public void A_length_of_more_than_31_bits_is_refused()
    {
        Assert.Equal(RecordStatus.Invalid, RecordParser.TryRead([(byte)'S', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0, out _, out _, out _));
        Assert.Equal(RecordStatus.Invalid, RecordParser.TryRead([(byte)'S', 0xff, 0xff, 0xff, 0xff, 0x7f], 0, out _, out _, out _));
    }

    [Fact]
    public void A_record_above_the_callers_limit_is_refused_before_it_is_read()
    {
        Assert.Equal(RecordStatus.Invalid, RecordParser.TryRead([(byte)'S', 0x81, 0x10], 2048, out _, out _, out _));
        Assert.Equal(RecordStatus.NeedMore, RecordParser.TryRead([(byte)'S', 0x80, 0x10], 2048, out _, out _, out int length));
        Assert.Equal(2048, length);
    }

    [Fact]
    public void Damaged_bytes_never_make_the_reader_fail()
    {
        // A fuzz target: whole files with bytes changed, cut and doubled.
        byte[] file = Write([((byte)'T', "1700000000 5"u8.ToArray()), ((byte)'S', "root"u8.ToArray()), ((byte)'M', []), ((byte)'N', new byte[500]), ((byte)'X', []), ((byte)'E', [])]);
        var random = new Random(20261129);
        FuzzTime fuzz = new(15_000_000);
        for (int round = 1; fuzz.Includes(round); round++)
        {
            byte[] damaged = file[..random.Next(file.Length + 1)];
            for (int i = random.Next(8); i > 0 && damaged.Length > 0; i--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            var reader = new RecordReader(new MemoryStream(damaged), random.Next(2) * 2048);
            long read = 0;
            while (reader.Read() == RecordReadStatus.Record)
            {
                read += reader.Data.Length;
            }

            Assert.True(read <= damaged.Length);
        }
    }

    [Fact]
    public void Queue_file_names_come_from_time_and_inode()
    {
        DateTimeOffset time = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000).AddTicks(673_267 * TimeSpan.TicksPerMicrosecond);
        Assert.Equal("A45F3ABCDEF", QueueFileName.Of(time, 0xABCDEF, longId: false));

        string name = QueueFileName.Of(time, 0xABCDEF, longId: true);
        Assert.Equal('z', name[10]);
        Assert.True(QueueFileName.IsValid(name));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../etc/passwd")]
    [InlineData("a.b")]
    [InlineData("a/b")]
    [InlineData("a\0b")]
    public void Names_that_lead_elsewhere_are_no_queue_ids(string name) => Assert.False(QueueFileName.IsValid(name));

    internal static byte[] Write(IEnumerable<(byte Type, byte[] Data)> records)
    {
        var file = new MemoryStream();
        var writer = new RecordWriter(file);
        foreach ((byte type, byte[] data) in records)
        {
            writer.Write(type, data);
        }

        writer.Flush();
        Assert.Equal(file.Length, writer.Length);
        return file.ToArray();
    }

    private sealed class OneByteStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}
