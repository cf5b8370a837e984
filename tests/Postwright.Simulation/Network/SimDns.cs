using System.Net;
using Postwright.Core.Seams;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.Network;

/// <summary>The world's DNS: a few domains, answers after a while, and failures when the plan says so.</summary>
internal sealed class SimDns(Rng chance, Func<TimeProvider> time, Action<string> count) : IDnsResolver
{
    private static readonly Dictionary<string, MxRecord[]> Mx = new(StringComparer.OrdinalIgnoreCase)
    {
        ["remote1.example"] = [new(10, "mx1.remote1.example"), new(20, "mx2.remote1.example")],
        ["remote2.example"] = [new(10, "mx.remote2.example")],
    };

    private static readonly Dictionary<string, string[]> Hosts = new(StringComparer.OrdinalIgnoreCase)
    {
        ["mx1.remote1.example"] = ["192.0.2.11"],
        ["mx2.remote1.example"] = ["192.0.2.12"],
        ["mx.remote2.example"] = ["192.0.2.20", "192.0.2.21"],
        ["remote3.example"] = ["192.0.2.30"],
    };

    /// <summary>Of a hundred queries so many fail.</summary>
    public int Failing { get; set; }

    public ValueTask<DnsAnswer<MxRecord>> QueryMxAsync(string domain, CancellationToken cancellationToken) =>
        AnswerAsync<MxRecord>("MX", domain, Mx.GetValueOrDefault(domain), cancellationToken);

    public ValueTask<DnsAnswer<IPAddress>> QueryAAsync(string host, CancellationToken cancellationToken) =>
        AnswerAsync("A", host, Hosts.GetValueOrDefault(host)?.Select(IPAddress.Parse).ToArray(), cancellationToken);

    public ValueTask<DnsAnswer<IPAddress>> QueryAaaaAsync(string host, CancellationToken cancellationToken) =>
        AnswerAsync<IPAddress>("AAAA", host, null, cancellationToken);

    public ValueTask<DnsAnswer<string>> QueryPtrAsync(IPAddress address, CancellationToken cancellationToken) =>
        AnswerAsync<string>("PTR", address.ToString(), null, cancellationToken);

    public ValueTask<DnsAnswer<IPAddress>> LookupHostAsync(string host, CancellationToken cancellationToken) =>
        AnswerAsync("HOST", host, Hosts.GetValueOrDefault(host)?.Select(IPAddress.Parse).ToArray(), cancellationToken);

    private async ValueTask<DnsAnswer<T>> AnswerAsync<T>(string type, string name, T[]? records, CancellationToken cancellationToken)
    {
        string error = $"Host or domain name not found. Name service error for name={name} type={type}: ";
        bool fails = Failing > 0 && chance.Percent(Failing);
        if (fails || chance.Percent(30))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(fails ? chance.Between(1, 9000) : chance.Between(1, 40)), time(), cancellationToken);
        }

        if (fails)
        {
            count("dns failure");
            return new DnsAnswer<T>(DnsStatus.TemporaryError, [], error + "Host not found, try again");
        }

        return records is { Length: > 0 } ? new DnsAnswer<T>(DnsStatus.Found, records, null)
            : Mx.ContainsKey(name) || Hosts.ContainsKey(name) ? new DnsAnswer<T>(DnsStatus.NoData, [], error + "Host found but no data record of requested type")
            : new DnsAnswer<T>(DnsStatus.NoSuchName, [], error + "Host not found");
    }
}
