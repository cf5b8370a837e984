using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Postwright.Core.Tables.Remote;

// TLS to a table's server. Whether a certificate is looked at is the table's setting, as in Postfix; a file that is named and
// cannot be read is an error, since going on without it would be less than what was asked for.

/// <summary>The TLS settings of a table.</summary>
internal sealed record RemoteTls
{
    /// <summary>The server's certificate must lead to a trusted authority.</summary>
    public bool VerifiesChain { get; init; }

    /// <summary>The certificate must name the host.</summary>
    public bool VerifiesName { get; init; }

    /// <summary>Trusted authorities in PEM, or null for the system's.</summary>
    public string? AuthorityFile { get; init; }

    /// <summary>A directory of such files, or null.</summary>
    public string? AuthorityDirectory { get; init; }

    /// <summary>The client's own certificate in PEM, or null.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>Its key, or null when that stands in the same file.</summary>
    public string? KeyFile { get; init; }

    /// <summary>What <see cref="SslStream"/> needs for a connection to <paramref name="host"/>.</summary>
    /// <exception cref="RemoteFailure">A file cannot be used.</exception>
    public SslClientAuthenticationOptions For(string host)
    {
        try
        {
            X509Certificate2Collection? authorities = Authorities();
            var options = new SslClientAuthenticationOptions
            {
                TargetHost = host,
                RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsAccepted(certificate, chain, errors, authorities),
                CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            };
            if (CertificateFile is { Length: > 0 })
            {
                options.ClientCertificates = [X509Certificate2.CreateFromPemFile(CertificateFile, KeyFile is { Length: > 0 } ? KeyFile : null)];
            }

            return options;
        }
        catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new RemoteFailure($"TLS certificate or key: {failure.Message}");
        }
    }

    private X509Certificate2Collection? Authorities()
    {
        if (AuthorityFile is { Length: > 0 })
        {
            var found = new X509Certificate2Collection();
            found.ImportFromPemFile(AuthorityFile);
            return found;
        }

        if (AuthorityDirectory is not { Length: > 0 })
        {
            return null;
        }

        var all = new X509Certificate2Collection();
        foreach (string file in Posix.SystemFiles.FilesOf(AuthorityDirectory))
        {
            all.ImportFromPemFile(file);
        }

        return all;
    }

    private bool IsAccepted(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, X509Certificate2Collection? authorities)
    {
        if (!VerifiesChain && !VerifiesName)
        {
            return true;
        }

        if (certificate is null || chain is null || (errors & SslPolicyErrors.RemoteCertificateNotAvailable) != 0
            || (VerifiesName && (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0))
        {
            return false;
        }

        if (authorities is null)
        {
            return (errors & SslPolicyErrors.RemoteCertificateChainErrors) == 0;
        }

        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.CustomTrustStore.AddRange(authorities);
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        foreach (X509ChainElement element in chain.ChainElements)
        {
            own.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        using var copy = new X509Certificate2(certificate);
        return own.Build(copy);
    }
}
