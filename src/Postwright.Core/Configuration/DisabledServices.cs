namespace Postwright.Core.Configuration;

/// <summary>
/// master_service_disable: types (<c>inet</c>) and services (<c>smtp/inet</c>) of master.cf that do not run; the first element
/// that matches counts, and <c>!</c> before it lets the service run.
/// </summary>
internal sealed class DisabledServices(IReadOnlyList<string> elements)
{
    private static readonly string[] Types = ["inet", "unix", "fifo", "pass"];

    /// <summary>True if the service does not run.</summary>
    public bool Contains(MasterService service)
    {
        foreach (string element in elements)
        {
            string pattern = element.TrimStart('!');
            if (pattern == service.Type || pattern == $"{service.Name}/{service.Type}")
            {
                return pattern.Length == element.Length || (element.Length - pattern.Length) % 2 == 0;
            }
        }

        return false;
    }

    /// <summary>What is wrong with the list, or null.</summary>
    public string? Explain()
    {
        foreach (string element in elements)
        {
            string pattern = element.TrimStart('!');
            int slash = pattern.LastIndexOf('/');
            if (!Types.Contains(pattern[(slash + 1)..]) || slash == 0)
            {
                return $"master_service_disable: \"{element}\" must be a type ({string.Join(", ", Types)}) or name/type";
            }
        }

        return null;
    }
}
