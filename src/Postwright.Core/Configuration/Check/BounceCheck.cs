using Postwright.Core.Configuration.Bounce;

namespace Postwright.Core.Configuration.Check;

/// <summary>The templates of notices: a file that cannot be read or a name that is not set stops start, since no notice could be made.</summary>
internal static class BounceCheck
{
    public static void Run(MailConfiguration configuration, CheckReport report)
    {
        string path = configuration.GetString("bounce_template_file");
        if (path.Length > 0 && BounceDump.Make(configuration, path, expands: true, text => report.Warn("bounce_template_file", text), out _) is { } trouble)
        {
            report.Error("bounce_template_file", trouble);
        }
    }
}
