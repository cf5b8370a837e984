using System.Globalization;

namespace Postwright.Core.Configuration;

/// <summary>The functions that values can call: <c>${domain_to_ascii{name}}</c>.</summary>
internal static class ConfigurationFunctions
{
    private static readonly IdnMapping Idn = new() { AllowUnassigned = false, UseStd3AsciiRules = false };

    public static Func<string, string>? Find(string name) => name == "domain_to_ascii" ? DomainToAscii : null;

    private static string DomainToAscii(string domain)
    {
        try
        {
            return System.Text.Ascii.IsValid(domain) ? domain : Idn.GetAscii(domain);
        }
        catch (ArgumentException)
        {
            // Not a name that has an ASCII form: leave it, so that it matches nothing.
            return domain;
        }
    }
}
