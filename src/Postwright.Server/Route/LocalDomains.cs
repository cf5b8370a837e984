using Postwright.Core.Tables;

namespace Postwright.Server.Route;

/// <summary>Whether a bare <c>user</c> key of an address table may stand for a domain's user: myorigin and local domains.</summary>
internal static class LocalDomains
{
    public static async ValueTask<MatchResult> MatchAsync(
        string domain, string origin, IAddressClassifier classifier, CancellationToken cancellationToken)
    {
        if (domain.Equals(origin, StringComparison.OrdinalIgnoreCase))
        {
            return MatchResult.Match;
        }

        Classification found = await classifier.ClassifyAsync("postmaster@" + domain, cancellationToken);
        return found.Status switch
        {
            ClassificationStatus.TemporaryError => MatchResult.TemporaryError,
            ClassificationStatus.Known when found.Class == AddressClass.Local => MatchResult.Match,
            _ => MatchResult.NoMatch,
        };
    }
}
