using BenchmarkDotNet.Attributes;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;

namespace Postwright.Bench;

/// <summary>The log's record of a message, written and read.</summary>
public class RecordBenchmarks : IDisposable
{
    private readonly Envelope _envelope = Samples.Envelope("4XyZ12abcD");
    private readonly RecordWriter _writer = new();
    private byte[] _record = [];

    [GlobalSetup]
    public void Prepare()
    {
        Write();
        _record = _writer.Written.ToArray();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _writer.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark(Description = "RecordFormat, write a message's record")]
    public int Write()
    {
        _writer.Clear();
        RecordFormat.WriteMessage(_writer, _envelope, 1000);
        return _writer.Length;
    }

    [Benchmark(Description = "RecordFormat, read it back")]
    public object Read()
    {
        RecordReader reader = new(_record);
        _ = reader.Byte();
        MessageSummary summary = RecordFormat.ReadSummary(ref reader);
        _ = reader.Byte();
        Envelope envelope = RecordFormat.ReadEnvelope(ref reader, "4XyZ12abcD", summary);
        return reader.Failed ? throw new InvalidOperationException("the record does not read back") : envelope;
    }
}
