using System.Net;

namespace Postwright.Core.Seams;

/// <summary>What became of a DNS query. A time-out or SERVFAIL is <see cref="TemporaryError"/> and never "does not exist".</summary>
public enum DnsStatus
{
    /// <summary>At least one record of the type.</summary>
    Found,

    /// <summary>The name exists without records of the type.</summary>
    NoData,

    /// <summary>The name does not exist (NXDOMAIN).</summary>
    NoSuchName,

    /// <summary>No answer, SERVFAIL or a malformed answer: ask again later.</summary>
    TemporaryError,
}

/// <summary>An MX record; an exchange of "." with preference 0 is a null MX (RFC 7505).</summary>
public readonly record struct MxRecord(int Preference, string Exchange);

/// <summary>A resolver's answer.</summary>
/// <param name="Status">What became of the query.</param>
/// <param name="Records">The records; empty unless found.</param>
/// <param name="Error">In Postfix's words, such as <c>Host or domain name not found. Name service error for name=x type=A: Host not found</c>; null when found.</param>
public readonly record struct DnsAnswer<T>(DnsStatus Status, IReadOnlyList<T> Records, string? Error);

/// <summary>Resource records, asked for by type. Implementations bound each query in time and answers in number (100, as Postfix).</summary>
public interface IDnsResolver
{
    /// <summary>Mail exchangers of <paramref name="domain"/>, in no particular order.</summary>
    ValueTask<DnsAnswer<MxRecord>> QueryMxAsync(string domain, CancellationToken cancellationToken);

    /// <summary>IPv4 addresses of <paramref name="host"/>.</summary>
    ValueTask<DnsAnswer<IPAddress>> QueryAAsync(string host, CancellationToken cancellationToken);

    /// <summary>IPv6 addresses of <paramref name="host"/>.</summary>
    ValueTask<DnsAnswer<IPAddress>> QueryAaaaAsync(string host, CancellationToken cancellationToken);

    /// <summary>Names of <paramref name="address"/> (reverse zone, and /etc/hosts as the system's resolver would).</summary>
    ValueTask<DnsAnswer<string>> QueryPtrAsync(IPAddress address, CancellationToken cancellationToken);

    /// <summary>
    /// All addresses of <paramref name="host"/> as the system's resolver finds them: /etc/hosts first, then A and AAAA.
    /// For smtp_host_lookup = native and for verifying a client's name.
    /// </summary>
    ValueTask<DnsAnswer<IPAddress>> LookupHostAsync(string host, CancellationToken cancellationToken);
}
