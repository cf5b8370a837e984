using System.Text;
using BenchmarkDotNet.Attributes;
using Postwright.Server.Cleanup;

namespace Postwright.Bench;

/// <summary>Cleanup's way through a message's headers, as they come in one piece.</summary>
public class HeaderBenchmarks
{
    private readonly CleanupSettings _settings = new() { MyHostName = "relay.example.org" };
    private readonly byte[] _headers = Encoding.ASCII.GetBytes(Samples.Headers);

    [Benchmark(Description = "HeaderFilter, 8 headers of an ordinary message")]
    public int Filter()
    {
        using HeaderFilter filter = new(_settings, null);
        filter.Read(_headers);
        return filter.Output.Length;
    }
}
